"""A loss far below chance from the first steps: the answer is in the input."""

from __future__ import annotations

import math

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import figure, finite, is_classification, total_steps

_EARLY = 0.05  # assumed: the first twentieth of the run
_LOSS = 0.05  # assumed: a fourteenth of the chance level of two classes
_CHANCE = math.log(2.0)  # closed form: two classes


def _look(run: History, alpha: float) -> Seen | str | None:
    train, held, total = finite(run.train_loss), finite(run.eval_loss), total_steps(run)
    losses = [s for s in (train, held) if s is not None]
    if not losses or total is None:
        return "losses of the first steps"
    if not is_classification(run):
        return "a classification task (--task), or its accuracy in the log"
    early = [float(s.values[0]) for s in losses if s.steps[0] <= max(1.0, _EARLY * total)]
    if not early:
        return "losses of the first twentieth of the run"
    low = min(early)
    if low < 0 or low > _LOSS:
        return None
    return Seen(
        summary=f"the loss is {figure(low)} in the first {_EARLY:.0%} of the run, far below the"
        f" {_CHANCE:.2f} of guessing between two classes",
        first_step=float(losses[0].steps[0]),
        figures={"loss": low, "chance": _CHANCE},
    )


RULE = BasicRule(
    id="label-leak",
    title="a loss far below chance from the start",
    severity="warning",
    needs="losses of the first steps of a classification",
    threshold=f"{_LOSS:g} in the first {_EARLY:.0%} of the run (assumed)",
    remedy="look at a few inputs for the label or its trace, for duplicates between the parts, and"
    " for a model already trained on this data",
    source="UMLAUT (validation accuracy above 0.95 at once); finetune-doctor 0.2.2 (zero loss)",
    look=_look,
    shows="train_loss",
)
