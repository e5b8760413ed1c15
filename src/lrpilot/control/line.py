"""Where on the line through the weights before and after training validation is best.

Three validations of the same examples, at three multiples of what training changed, give the slope
and the curvature of each example's loss, and their means a parabola. Its lowest point is where to
go, less what the examples leave in doubt: the slope is shrunk by its own error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lrpilot.control.trial_settings import TrialSettings
from lrpilot.control.validation_state import dump_evaluation, load_evaluation
from lrpilot.metric import Evaluation

_ON = 1.5  # measured: docs/log.md, 1 does not come far enough, 2 is too coarse
_RESIST = 0.5  # measured: docs/log.md, examples; a fourth to one are alike
_FLAT = 1e-9  # of a parabola that has no lowest point, or hardly one
_FARTHEST = 5.0  # assumed: e-folds; what is far is looked at step by step anyway


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A validation on the line.

    Attributes:
        times: What training changed is multiplied by this.
        seen: The validation there.
    """

    times: float
    seen: Evaluation

    def dump(self) -> dict[str, Any]:
        """The place as JSON types."""
        return {"times": self.times, "seen": dump_evaluation(self.seen)}

    @classmethod
    def load(cls, data: dict[str, Any]) -> Place:
        """The inverse of `dump`."""
        seen = load_evaluation(data["seen"])
        assert seen is not None  # as it was dumped
        return cls(data["times"], seen)


def following(
    line: tuple[Place, ...], settings: TrialSettings, *, more: bool, gain: float
) -> tuple[tuple[Place, ...], float, bool]:
    """Which places to go by, where to look next, and whether that is where to stay.

    Args:
        line: Two or three places, the newest last.
        settings: The second place is `stretch_factor` times the first, the third a part of it.
        more: Whether to look further where validation goes on falling; if not, that is as far as
            the last place may be.
        gain: See `lowest`.
    """
    *known, new = line
    if not new.seen.finite:
        return tuple(known), min(known, key=lambda p: _sign(p) * p.seen.mean).times, True
    line = tuple(sorted(line, key=lambda place: place.times))
    if len(line) < 3:
        return line, 1.0 / settings.stretch_factor, False
    low, middle, high = line
    doubts = settings.further_doubt, settings.back_doubt
    at = lowest(low, middle, high, gain=gain, doubts=doubts)
    beyond = high.times * (high.times / middle.times) ** _ON
    before = low.times * (low.times / middle.times) ** _ON
    if at > high.times and more:
        return (middle, high), beyond, False
    if at < low.times and more:
        return (low, middle), before, False
    return line, min(max(at, before), beyond), True


def lowest(
    low: Place, middle: Place, high: Place, *, gain: float, doubts: tuple[float, float]
) -> float:
    """The multiple at which validation is best, by three places.

    Args:
        low, middle, high: In increasing order; the answer may lie beyond.
        gain: What training gained on an example, in the metric's unit. Further from the start must
            gain, for each e-fold, more than that on half an example: of a few all may be solved,
            and any stretch then makes the model surer of itself.
        doubts: So many times its error the slope must at least be, further from the start and back.

    Source:
        Newton's step; the slope is shrunk by what of its square is its error's, an empirical-Bayes
        estimate (Efron and Morris, "Stein's estimation rule and its competitors", 1973).
    """
    left, right = math.log(middle.times / low.times), math.log(high.times / middle.times)
    before = _sign(middle) * (middle.seen.values - low.seen.values) / left
    after = _sign(middle) * (high.seen.values - middle.seen.values) / right
    weights, reach = middle.seen.weights, left + right
    slopes = Evaluation((before * right + after * left) / reach, weights)
    slope, error = slopes.mean, slopes.standard_error or 0.0
    error *= doubts[slope > 0.0]
    if slope < 0.0:
        slope = min(0.0, slope + _RESIST * max(0.0, gain) / middle.seen.n)
    if abs(slope) <= error:
        return middle.times
    bend = Evaluation(2.0 * (after - before) / reach, weights).mean
    step = slope * (1.0 - (error / slope) ** 2) / max(bend, _FLAT)
    return middle.times * math.exp(max(-_FARTHEST, min(_FARTHEST, -step)))


def _sign(place: Place) -> float:
    """Minus one where a larger value is better."""
    return 1.0 if place.seen.mode == "min" else -1.0
