"""`lrpilot tune`: fine-tune a pretrained model under the autopilot, on own data or a demo."""
