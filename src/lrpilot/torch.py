"""`lrpilot.torch.Autopilot`: the autopilot in a plain PyTorch loop."""

from lrpilot.integrations.torch import Autopilot

__all__ = ["Autopilot"]
