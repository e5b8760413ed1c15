"""What lrpilot raises.

An expected bad outcome of a run (it diverged, validation was too small to decide) is a value, in
`lrpilot.outcome`. An exception means that the caller asked for something that cannot be done.
"""


class LrpilotError(Exception):
    """The base of every error that lrpilot raises on purpose."""


class InputError(LrpilotError, ValueError):
    """Bad input. One line: what was given, what is allowed, what to do. Exit status 2."""


class MissingExtraError(LrpilotError, ImportError):
    """An optional dependency is not installed; the message holds the pip line that brings it."""


class RecordError(LrpilotError):
    """A run record cannot be read or does not hold what was asked for."""
