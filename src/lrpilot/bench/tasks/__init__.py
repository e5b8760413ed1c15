"""The bench's own tasks, by name."""

from __future__ import annotations

from lrpilot.bench.task import Task
from lrpilot.bench.tasks import bytes_gpt, digits, images, minilm, smollm
from lrpilot.errors import InputError

_MODULES = (digits, bytes_gpt, minilm, images, smollm)
TASKS: dict[str, Task] = {task.name: task for module in _MODULES for task in module.TASKS}


def find_tasks(names: str | None) -> list[Task]:
    """The tasks of a comma-separated list; all of them without one.

    Raises:
        InputError: There is no such task.
    """
    wanted = list(TASKS) if names is None else names.split(",")
    for name in wanted:
        if name not in TASKS:
            raise InputError(f"there is no task {name!r}: give {', '.join(TASKS)}")
    return [TASKS[name] for name in wanted]
