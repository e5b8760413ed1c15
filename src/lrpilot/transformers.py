"""`lrpilot.transformers.AutopilotCallback`: the autopilot in transformers' Trainer."""

from lrpilot.integrations.transformers import AutopilotCallback

__all__ = ["AutopilotCallback"]
