"""lrpilot: the learning-rate autopilot for fine-tuning pretrained models.

`recommend` says where to start and why; `lrpilot.torch.Autopilot` and
`lrpilot.transformers.AutopilotCallback` steer the rate while the model trains. Importing this
package needs no torch and loads nothing heavy: each name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0.dev0"

_HOMES = {
    "RunFacts": "lrpilot.facts",
    "Recommendation": "lrpilot.facts",
    "Source": "lrpilot.facts",
    "Reason": "lrpilot.facts",
    "recommend": "lrpilot.recommend",
    "Evaluation": "lrpilot.metric",
    "Comparison": "lrpilot.metric",
    "compare": "lrpilot.metric",
    "RunRecord": "lrpilot.record",
    "Outcome": "lrpilot.outcome",
    "Budget": "lrpilot.control",
    "Controller": "lrpilot.control",
    "Decision": "lrpilot.control",
    "Observation": "lrpilot.control",
    "LrpilotError": "lrpilot.errors",
    "InputError": "lrpilot.errors",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lrpilot' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
