"""The bench's own tasks, by name, and those of the user."""

from __future__ import annotations

from lrpilot.bench import plugins
from lrpilot.bench.task import Task
from lrpilot.bench.tasks import bytes_gpt, digits, images, minilm, smollm
from lrpilot.errors import InputError

_MODULES = (digits, bytes_gpt, minilm, images, smollm)
TASKS: dict[str, Task] = {task.name: task for module in _MODULES for task in module.TASKS}


def find_tasks(spec: str) -> list[Task]:
    """The task of that name, or those that `path/to/file.py:NAME` or an entry point holds.

    Raises:
        InputError: There is no such task, or what was found is none.
    """
    if spec in TASKS:
        return [TASKS[spec]]
    found = plugins.load(spec, group="lrpilot.bench.tasks")
    if found is None:
        allowed = ", ".join([*TASKS, "path/to/file.py:NAME"])
        raise InputError(f"there is no task {spec!r}: give {allowed}")
    for task in found:
        if not isinstance(task, Task):
            raise InputError(
                f"{spec} holds a {type(task).__name__}: give a lrpilot.bench.task.Task"
            )
        if task.name in TASKS:
            raise InputError(f"{spec}: the name {task.name!r} is taken: give the task another")
    return found
