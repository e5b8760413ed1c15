"""`lrpilot.transformers`: the autopilot and the doctor in transformers' Trainer."""

from lrpilot.integrations._doctor_callback import DoctorCallback
from lrpilot.integrations.transformers import AutopilotCallback

__all__ = ["AutopilotCallback", "DoctorCallback"]
