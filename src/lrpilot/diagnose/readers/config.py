"""Plans as YAML or JSON: Axolotl, LLaMA-Factory, torchtune, alignment-handbook, Lightning's CLI,
and `TrainingArguments`."""

from __future__ import annotations

import json
import re
from typing import Any

from lrpilot.diagnose.history import History
from lrpilot.diagnose.readers.format import Format, Place
from lrpilot.diagnose.readers.hf_facts import facts_beside
from lrpilot.diagnose.readers.settings import plan_of
from lrpilot.diagnose.readers.yaml_text import load_yaml
from lrpilot.errors import InputError

_NAMES = (
    r"(learning_rate|lr|per_device_train_batch_size|micro_batch_size|num_train_epochs"
    r"|lr_scheduler_type|finetuning_type|base_model|max_epochs|max_steps|_component_)"
)
_YAML_KEYS = re.compile(rf'[\s{{,]"?{_NAMES}"?\s*:')
_JSON_KEYS = re.compile(rf'"{_NAMES}"\s*:')
_YAML = (".yaml", ".yml")


def _claims_yaml(place: Place) -> bool:
    """YAML cannot be told from text by its content alone, so here the ending counts too."""
    return place.path.suffix.lower() in _YAML and len(set(_YAML_KEYS.findall(place.text))) > 1


def _claims_json(place: Place) -> bool:
    if not place.text.lstrip().startswith("{") or len(set(_JSON_KEYS.findall(place.text))) < 2:
        return False
    try:
        data = json.loads(place.text)
    except (ValueError, RecursionError):
        return place.size > len(place.head)
    return isinstance(data, dict) and plan_of(data) is not None


def _read_yaml(place: Place) -> list[History]:
    return [_history(place, load_yaml(place.path))]


def _read_json(place: Place) -> list[History]:
    return [_history(place, place.json())]


def _history(place: Place, data: Any) -> History:
    found = plan_of(data) if isinstance(data, dict) else None
    if found is None:
        raise InputError(
            f"{place.path} is no training config: give one of Axolotl, LLaMA-Factory, torchtune,"
            " alignment-handbook, Lightning's CLI, or TrainingArguments"
        )
    name, plan, unread = found
    return History(where=str(place.path), format=name, plan=plan, unread=unread)


def _claims_pickle(place: Place) -> bool:
    return place.path.name == "training_args.bin" and place.head[:2] in (b"PK", b"\x80\x02")


def _read_pickle(place: Place) -> list[History]:
    plan, unread = facts_beside(place.path.parent)
    if not plan.stated:
        raise InputError(f"{place.path} states no training argument: give the file Trainer saved")
    return [History(where=str(place.path), format="hf-arguments", plan=plan, unread=unread)]


YAML = Format(
    name="yaml",
    what="a YAML config of Axolotl, LLaMA-Factory, torchtune, alignment-handbook or Lightning",
    claims=_claims_yaml,
    read=_read_yaml,
    plan=True,
)
JSON = Format(
    name="json",
    what="TrainingArguments as JSON",
    claims=_claims_json,
    read=_read_json,
    plan=True,
)
PICKLE = Format(
    name="training-args",
    what="a training_args.bin, which is not unpickled",
    claims=_claims_pickle,
    read=_read_pickle,
    plan=True,
)
