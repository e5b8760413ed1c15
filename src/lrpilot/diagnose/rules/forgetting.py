"""What the model could do before gets worse."""

from __future__ import annotations

import re

from lrpilot.diagnose.advice import lower
from lrpilot.diagnose.finding import Severity
from lrpilot.diagnose.history import History, Series
from lrpilot.diagnose.hump import find_hump
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.statistics import LEAST, find_rise
from lrpilot.diagnose.view import figure, finite

_OLD = re.compile(
    r"pretrain|original|general|retain|\bold\b|source|base_?(task|loss|eval)|mmlu|hellaswag|arc_|"
    r"wikitext|lambada|c4|pile|imagenet|forget", re.I
)  # fmt: skip
_LOSS = re.compile(r"loss|perplexity|ppl|nll|error|bpb", re.I)
_LEAST_RISE = 0.02  # assumed: 2% of the old loss or score
_ERROR = 0.2  # assumed: a fifth is lost
_FROM_START = 0.8  # assumed: the part of alpha for a loss against the start, when all was known
_STAYS = 0.5  # assumed: half of the worsening is still there at the end


def _look(run: History, alpha: float) -> Seen | str | None:
    old = {n: s for n, raw in run.others.items()
           if _OLD.search(n) and (s := finite(raw, least=LEAST)) is not None}  # fmt: skip
    if not old:
        return "validations of an old task (a series named pretraining, general, mmlu, ...)"
    seen = [found for n, s in old.items() if (found := _test(run, n, s, alpha / len(old)))]
    return max(seen, key=lambda found: found.figures["loss"]) if seen else None


def _test(run: History, name: str, series: Series, alpha: float) -> Seen | None:
    sign = 1.0 if _LOSS.search(name) else -1.0
    values = sign * series.values
    tests = ((find_hump(values), _FROM_START), (find_rise(values), 1.0 - _FROM_START))
    sure = (f for f, part in tests if f is not None and f.p <= part * alpha)
    found = next((f for f in sure if f.relative >= _LEAST_RISE), None)
    if found is None:
        return None
    lasts = float(values[-3:].mean()) - found.low >= _STAYS * (found.high - found.low)
    best, end, step = sign * found.low, sign * found.high, float(series.steps[found.best])
    back = "" if lasts else f", and came back to {figure(float(series.values[-1]))}"
    return Seen(
        summary=f"{name} went from {figure(best)} to {figure(end)} since step {step:g}"
        f" ({100 * found.relative:.0f}% worse){back}: the model forgets",
        first_step=step,
        last_step=float(series.steps[-1]),
        figures={"best": best, "end": end, "loss": found.relative, "p": found.p},
        severity=_severity(found.relative, lasts),
        advice=lower(run, times=3.0),
    )


def _severity(loss: float, lasts: bool) -> Severity | None:
    if not lasts:
        return "info"
    return "error" if loss >= _ERROR else None


RULE = BasicRule(
    id="forgetting",
    title="the model forgets",
    severity="warning",
    needs="validations of an old task beside the new one's",
    threshold=f"{_LEAST_RISE:.0%} (assumed), and a worsening that noise alone explains with less"
    " than the rule's share of 5%, four fifths of it for one against the start (assumed)",
    remedy="a third of the rate, fewer epochs, LoRA instead of all weights, or some old data"
    " mixed in",
    source="article: too high a rate loses what was learned; Biderman et al. 2024, arXiv 2405.09673"
    " (LoRA learns less and forgets less)",
    look=_look,
    statistical=True,
    weight=1.0,
)
