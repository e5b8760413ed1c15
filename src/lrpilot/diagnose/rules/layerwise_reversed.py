"""Layer-wise decay the wrong way round: lower layers learn faster than the top."""

from __future__ import annotations

import re
from itertools import pairwise

from lrpilot.diagnose.history import Group, History
from lrpilot.diagnose.rule import BasicRule, Seen

_LEAST = 3  # assumed: groups with a number in their name
_FIRST = re.compile(r"embed|patch|stem|conv1|wte|wpe", re.I)
_LAST = re.compile(r"head|classifier|pooler|score|lm_head|\bfc\b", re.I)
_NUMBER = re.compile(r"(?:layers?|blocks?|h|stage|group|module|param)[._\- ]?(\d+)|^(\d+)$", re.I)


def _look(run: History, alpha: float) -> Seen | str | None:
    decay = run.plan.facts.layerwise_decay
    if decay is not None and decay > 1.0:
        return _seen(f"layer-wise decay is {decay:g}: each layer below learns {decay:g} times"
                     " faster", {"decay": decay})  # fmt: skip
    if decay is not None:
        return None
    ranked = sorted((r, g.lr) for g in run.plan.groups if (r := _rank(g)) is not None)
    if len(ranked) < _LEAST:
        return "layer-wise decay, or parameter groups with layers in their names"
    rates = [lr for _, lr in ranked]
    if not (all(a >= b for a, b in pairwise(rates)) and rates[0] > rates[-1]):
        return None
    return _seen(f"the lowest layer learns at {rates[0]:g}, the highest at {rates[-1]:g}",
                 {"lowest": rates[0], "highest": rates[-1]})  # fmt: skip


def _rank(group: Group) -> float | None:
    """Height of a group in the model; None where its name does not tell."""
    if group.frozen:
        return None
    if _FIRST.search(group.name):
        return -1.0
    if _LAST.search(group.name):
        return 1e6
    found = _NUMBER.search(group.name)
    return None if found is None else float(found[1] or found[2])


def _seen(said: str, figures: dict[str, float]) -> Seen:
    return Seen(summary=said, figures=figures)


RULE = BasicRule(
    id="layerwise-reversed",
    title="layer-wise decay is reversed",
    severity="error",
    needs="layer-wise decay, or parameter groups with layers in their names",
    threshold="a factor above 1, or rates that fall from the lowest layer to the head (exact)",
    remedy="lr of layer i = lr * decay ** (number of layers - 1 - i) with decay 0.65 to 0.95: the"
    " head learns fastest",
    source="Howard and Ruder 2018, arXiv 1801.06146 (discriminative fine-tuning, factor 2.6 a"
    " layer downwards)",
    look=_look,
)
