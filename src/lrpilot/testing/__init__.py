"""Contract suites that every host passes, and that a host of your own can."""

from lrpilot.testing.hosts import HostSuite

__all__ = ["HostSuite"]
