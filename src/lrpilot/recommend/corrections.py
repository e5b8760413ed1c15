"""What the recipes do not tell: short runs, LoRA's rank, caution.

Each correction is a shift in powers of ten, as strong as its evidence and no stronger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf, log10

import numpy as np

from lrpilot.recommend.cases import Case

# measured: LoRA on SmolLM2 peaks .84 above its recipes in 60 steps, .60 in 400 of new data, while
# models of .6 to 6 million parameters peak as far above in 225 to 480 steps as in 60; docs/log.md
SHORT_STEPS, LONG_STEPS = 100.0, 2000.0  # all of it up to the first, none of it from the other
STEADY_PARAMS = 2e7  # measured: about MiniLM's; assumed: a model half as large, twice as many steps
SMALL_PARAMS = 2.5e8  # assumed: no sweep of ours above 1.4e8, and that one is near the recipes
LEAST_PARAMS = 3e5  # measured: our smallest model; beyond it no slope is known
SIZE_POWER = 0.7  # measured: docs/log.md; with a model left out .16 powers of ten, linearly .23
FADE = 0.25  # assumed: powers of ten of size over which the rest of the correction sets in
USUAL_EPOCHS = 3.0  # assumed, where they are not known: transformers' default
MOST_EPOCHS, MOST_CLASSES = 10.0, 10  # assumed: no sweep of ours has more
# measured: convolutional nets that we swept with SGD; beyond them no slope is known
SGD_LEAST_PARAMS, SGD_PARAMS = 2.4e4, 6e6
_NOT_SWEPT = ("lars", "zo-sgd")

# paper: Chen et al. 2023 (Lion) say 3 to 10 times less than AdamW; six recipes of the table have a
# median of 3 times less, at a scatter of .4, so the paper's least
LION_OVER_ADAMW, LION_SD = -0.5, 0.3

# measured: scripts/recommend_costs.py (34 models, ranks 1 to 128): best rate ~ rank**0.16
RANK_SLOPE = 0.16
REFERENCE_RANK = 16.0  # assumed: the middle of the published LoRA recipes' ranks

# measured: loss given away, in % of the best, by distance in powers of ten below and above the best
# rate: scripts/recommend_costs.py, means of finished runs; assumed: nothing under .15, lines beyond
_TOO_LOW = ((0.0, 0.0), (0.15, 0.0), (0.42, 0.9), (0.70, 1.1), (0.97, 2.4), (1.3, 4.6), (3.0, 15.0))
_TOO_HIGH = ((0.0, 0.0), (0.15, 0.0), (0.42, 2.2), (0.70, 2.2), (0.97, 22.0), (3.0, 60.0))
CAUTION_STEPS = 200  # assumed: in shorter runs too low underfits, and is no safer than too high


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A shift of log10 LR, what it adds to the uncertainty, and the rule in words."""

    rule: str
    text: str
    by: float
    sd: float = 0.0


@dataclass(frozen=True, slots=True)
class ShortRuns:
    """How far sweeps of small models in short runs peak above what recipes say.

    Attributes:
        slopes: Powers of ten for one of each of `regressors`.
        sd: What the sweeps scatter about that.
    """

    slopes: Mapping[str, float]
    sd: float

    def above(self, case: Case) -> float:
        """Powers of ten above the recipes; never below: many of them repeat their examples, too."""
        return max(0.0, sum(self.slopes[name] * x for name, x in regressors(case).items()))


def swept_with(case: Case) -> str:
    """The optimizer of the sweeps that speak for a case: "adam" or "sgd"."""
    return "sgd" if case.optimizer_scale == "sgd" else "adam"


def regressors(case: Case) -> dict[str, float]:
    """What the slopes of `ShortRuns` are multiplied by.

    Adam: the size, to SIZE_POWER, of transformers and of convolutional nets; for few weights (LoRA)
    an amount, and a slope of their own; powers of ten of epochs, for each power of ten above
    LEAST_PARAMS, since a larger model learns examples that it sees again by heart; powers of ten of
    classes over two.
    SGD: text, on which there is no recipe of it; the size of convolutional nets; few weights.
    """
    size, whole = shortness(case)
    cnn, few = case.architecture == "cnn", case.method_group == "few"
    params = case.params or inf
    if swept_with(case) == "sgd":
        small = log10(SGD_PARAMS / min(max(params, SGD_LEAST_PARAMS), SGD_PARAMS))
        return {
            "text": whole * (case.domain == "text"),
            "convolution": whole * cnn * small,
            "few": whole * few,
        }
    epochs = min(max(case.epochs or USUAL_EPOCHS, 1.0), MOST_EPOCHS)
    larger = log10(max(params, LEAST_PARAMS) / LEAST_PARAMS) if whole else 0.0
    classes = min(case.classes or 2, MOST_CLASSES)
    return {
        "slope": size * (not cnn and not few),
        "convolution": size * (cnn and not few),
        "few": whole * few,
        "few-slope": size * few,
        "repeated": whole * log10(epochs) * larger,
        "classes": whole * log10(classes / 2),
    }


def short_run(case: Case, fitted: Mapping[str, ShortRuns]) -> Shift | None:
    """Small models in short runs want more than recipes, which describe long runs, say.

    Fitted to sweeps of AdamW, which Lion's and Adafactor's are as far above their recipes as
    (docs/log.md, "Lion and Adafactor"), and to sweeps of SGD, on all weights or LoRA. Nothing is
    carried over to prompts or probes, nor to LARS and zeroth-order SGD.

    Args:
        fitted: By optimizer of the sweeps, as `swept_with` names them.
    """
    _, whole = shortness(case)
    swept = case.method_group in (None, "weights", "few") and case.optimizer not in _NOT_SWEPT
    if not swept or not any(regressors(case).values()):
        return None
    found = fitted[swept_with(case)]
    seen = f", {_repeated(case)}{_classes(case)}"
    why = "by less the more often examples are seen, by more for many classes"
    if swept_with(case) == "sgd":
        seen, why = "", "SGD's recipes being of images, and of larger nets"
    text = (
        f"{case.steps:,.0f} steps of a model of {(case.params or 0) / 1e6:,.3g} million parameters"
        f"{seen}: sweeps of small models in short runs peak above what recipes say, {why}"
    )
    return Shift(rule="short-run", text=text, by=found.above(case), sd=found.sd * whole)


def shortness(case: Case) -> tuple[float, float]:
    """How much of the correction a case gets: of what grows with the size, and of the rest.

    Powers of ten below SMALL_PARAMS, to SIZE_POWER, and 1; both fade with the steps, the second one
    with the size, too. Zero where size or steps are unknown.
    """
    if case.steps is None or case.params is None:
        return 0.0, 0.0
    params = max(case.params, LEAST_PARAMS)
    steps = case.steps / max(1.0, STEADY_PARAMS / params)
    short = log10(LONG_STEPS / steps) / log10(LONG_STEPS / SHORT_STEPS)
    short = min(1.0, max(0.0, short))
    small = max(0.0, log10(SMALL_PARAMS / params))
    return short * small**SIZE_POWER, short * min(1.0, small / FADE)


def _repeated(case: Case) -> str:
    if case.epochs is None:
        return f"{USUAL_EPOCHS:g} epochs if they are as usual"
    return f"{case.epochs:.3g} epoch{'s' * (case.epochs != 1.0)}"


def _classes(case: Case) -> str:
    return "" if case.classes is None else f", {case.classes} classes"


def lion(optimizer: str) -> Shift | None:
    """Lion's rate, from AdamW's: too few recipes use it to be asked themselves."""
    if optimizer != "lion":
        return None
    text = "Lion takes 3 to 10 times less than AdamW (its paper; the few recipes of it: 3)"
    return Shift(rule="lion", text=text, by=LION_OVER_ADAMW, sd=LION_SD)


def lora_rank(rank: int | None, method: str | None) -> Shift | None:
    """A higher rank bears a slightly higher rate."""
    if rank is None or method not in ("lora", "preference-lora"):
        return None
    by = RANK_SLOPE * log10(rank / REFERENCE_RANK)
    text = f"LoRA rank {rank}: the best rate grows as rank**{RANK_SLOPE:g} in a published grid"
    return Shift(rule="lora-rank", text=text, by=by, sd=abs(by))


def caution(case: Case, sd: float) -> Shift | None:
    """Low where an error upwards costs more: the shift with the least expected loss.

    The costs were measured on language models; elsewhere published sweeps cost as much below as
    above, so nothing shifts.

    Args:
        sd: How uncertain the best rate is, in powers of ten.
    """
    if case.architecture != "decoder":
        return None
    if case.steps is not None and case.steps < CAUTION_STEPS:
        return None
    by = least_expected_loss(round(sd, 2))
    text = "set a little low: for language models a rate too high costs more than one too low"
    return Shift(rule="caution", text=text, by=by)


@lru_cache(maxsize=256)
def least_expected_loss(sd: float) -> float:
    """The shift that minimises the expected cost when the best rate is off by N(0, sd**2)."""
    normal = np.linspace(-4.0, 4.0, 401)
    weight = np.exp(-0.5 * normal**2)
    shifts = np.linspace(-0.8, 0.3, 111)
    off = shifts[:, None] - sd * normal[None, :]
    cost = np.where(off < 0.0, np.interp(-off, *_axes(_TOO_LOW)), np.interp(off, *_axes(_TOO_HIGH)))
    return float(shifts[np.argmin(cost @ weight)])


def _axes(points: tuple[tuple[float, float], ...]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
