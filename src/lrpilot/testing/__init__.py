"""Contract suites: for hosts of the autopilot, and for tasks and policies of the bench."""

from lrpilot.testing.bench import PolicySuite, TaskSuite
from lrpilot.testing.hosts import HostSuite

__all__ = ["HostSuite", "PolicySuite", "TaskSuite"]
