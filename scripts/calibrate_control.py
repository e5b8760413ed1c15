"""Measure the error rates and the power of the validation-driven controller.

The real controller meets simulated validations: a true loss curve, the jitter of training (each
evaluated state is a little better or worse than its trend), and noise over examples. Rates do no
harm in these runs, so every "too-high" or "overfitting" before the curve turns is a false alarm.

    python scripts/calibrate_control.py            # print the tables
    python scripts/calibrate_control.py --write    # and put them into docs/control.md
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrpilot.control import Budget, Observation, ValidationController
from lrpilot.facts import Recommendation
from lrpilot.metric import Evaluation

DOCUMENT = Path(__file__).parent.parent / "docs" / "control.md"
BUDGET = Budget(steps=160, evaluations=16)
RECOMMENDATION = Recommendation(peak_lr=2e-5, low=1e-5, high=5e-5)
TURN = 0.5  # share of the budget after which the overfitting curve gets worse
EARLY_TURN = 0.06
BEGIN, END = "<!-- calibration: begin -->", "<!-- calibration: end -->"
ALARMS = ("too-high", "overfitting")
Curve = Callable[[float], float]


def flat(progress: float) -> float:
    """Nothing is learnt."""
    return 1.0


def decaying(progress: float) -> float:
    """The usual curve: most of it is learnt in the first tenth of the run."""
    return 0.4 + 0.6 * math.exp(-progress / 0.1)


def overfitting(progress: float, *, slope: float = 0.05) -> float:
    """Decaying, then worse by `slope` of the loss with every further tenth of the run."""
    return decaying(progress) + 0.4 * slope * max(0.0, progress - TURN) / 0.1


def jumping(progress: float, *, size: float, turn: float = TURN) -> float:
    """Decaying, then worse by `size` of the loss, at once and for good."""
    return decaying(progress) * (1.0 + size * (progress > turn))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What one simulated run looks like; noises are shares of the loss.

    Attributes:
        curve: True loss by the share of the budget that went into the present weights.
        turn: Share of the budget after which the curve gets worse; infinity for never.
        jitter: Standard deviation of one state's true loss around the curve.
        memory: Correlation of that jitter from one validation to the next.
        example_noise: Standard deviation of one example's loss around its own expectation.
        tails: Degrees of freedom of the example noise's Student distribution; normal if infinite.
        n: Validation examples.
    """

    curve: Curve
    turn: float = math.inf
    jitter: float
    memory: float = 0.0
    example_noise: float
    tails: float = math.inf
    n: int


@dataclass(frozen=True, slots=True)
class Ending:
    """What one run came to: a false alarm, or the validations it took to act on a true turn."""

    false_alarm: bool
    took: int | None = None


def simulate(setting: Setting, controller: ValidationController, seed: int) -> Ending:
    """One run up to its first alarm."""
    rng = np.random.default_rng(seed)
    hard = rng.gamma(1.0, 1.0, setting.n)  # some examples stay hard: pairing removes this
    state = controller.init(RECOMMENDATION, BUDGET)
    step, progress, kept, deviation, seen = 0, 0.0, 0.0, 0.0, 0
    while True:
        fresh = math.sqrt(1.0 - setting.memory**2) * rng.standard_normal()
        deviation = setting.memory * deviation + fresh
        loss = setting.curve(progress) * (1.0 + setting.jitter * deviation)
        values = loss * (hard + setting.example_noise * noise(rng, setting))
        decision, state = controller.update(
            state, Observation(step=step, validation=Evaluation.of(values))
        )
        turned = progress > setting.turn
        seen += turned
        if decision.rule in ALARMS or (turned and decision.rule == "unconfirmed"):
            return Ending(not turned, took=seen if turned else None)
        kept = progress if decision.keep else kept
        progress = kept if decision.action == "rollback" else progress
        due = [s for s in (*state.plan, state.check) if s is not None and s > step]
        if not due:
            return Ending(False)
        progress += (min(due) - step) / BUDGET.steps
        step = min(due)


def noise(rng: np.random.Generator, setting: Setting) -> NDArray[np.float64]:
    """The example noise of one validation, with unit variance."""
    if math.isinf(setting.tails):
        return rng.standard_normal(setting.n)
    scale = math.sqrt((setting.tails - 2.0) / setting.tails)
    return scale * rng.standard_t(setting.tails, setting.n)


def false_alarms(setting: Setting, runs: int, controller: ValidationController) -> float:
    """Percentage of independent runs with a false alarm."""
    endings = [simulate(setting, controller, seed) for seed in range(runs)]
    return 100.0 * sum(e.false_alarm for e in endings) / runs


def power(setting: Setting, runs: int, controller: ValidationController) -> str:
    """Percentage of runs that act on the true turn, and their median delay in validations."""
    endings = [simulate(setting, controller, seed) for seed in range(runs)]
    took = [e.took for e in endings if e.took is not None]
    share = f"{100.0 * len(took) / runs:.0f}%"
    return f"{share}, {np.median(took):.0f}" if len(took) > runs / 20 else share


# -- the tables -----------------------------------------------------------------------------

CURVES: dict[str, tuple[Curve, float]] = {
    "flat": (flat, math.inf),
    "decaying": (decaying, math.inf),
    "overfitting": (overfitting, TURN),
}
JITTERS = (0.0, 0.01, 0.03, 0.1)
SIZES = (32, 96, 300)
EXAMPLE_NOISES = (0.03, 0.3, 1.0)


def error_table(runs: int, controller: ValidationController) -> tuple[list[str], float]:
    """False alarms in every cell of the grid, and the largest of them."""
    columns = [(n, noise) for n in SIZES for noise in EXAMPLE_NOISES]
    lines = head(["curve", "jitter", *(f"n {n}, noise {noise:g}" for n, noise in columns)])
    largest = 0.0
    for name, (curve, turn) in CURVES.items():
        for jitter in JITTERS:
            cells = [
                false_alarms(
                    Setting(curve=curve, turn=turn, jitter=jitter, example_noise=noise, n=n),
                    runs,
                    controller,
                )
                for n, noise in columns
            ]
            largest = max(largest, *cells)
            lines.append(row([name, f"{jitter:g}", *(f"{cell:.1f}%" for cell in cells)]))
    return lines, largest


def power_table(runs: int, controller: ValidationController) -> list[str]:
    """How often a true worsening is acted on, for 96 examples of noise 0.3."""
    turns: dict[str, tuple[Curve, float]] = {
        f"+{100 * size:g}% at once": (partial(jumping, size=size), TURN)
        for size in (0.05, 0.1, 0.2, 0.5)
    }
    for slope in (0.05, 0.1, 0.2):
        turns[f"+{100 * slope:g}% a validation"] = (partial(overfitting, slope=slope), TURN)
    for size in (0.5, 1.0):
        early = partial(jumping, size=size, turn=EARLY_TURN)
        turns[f"+{100 * size:g}% after 6% of the run"] = (early, EARLY_TURN)
    lines = head(["jitter", *turns])
    for jitter in JITTERS:
        cells = [
            power(
                Setting(curve=curve, turn=turn, jitter=jitter, example_noise=0.3, n=96),
                runs,
                controller,
            )
            for curve, turn in turns.values()
        ]
        lines.append(row([f"{jitter:g}", *cells]))
    return lines


def limits_table(runs: int, controller: ValidationController) -> list[str]:
    """False alarms where the assumptions of the test do not hold: flat, 96 examples, noise 0.3."""
    cases: dict[str, Callable[..., Setting]] = {
        "jitter with correlation 0.5 from one validation to the next": partial(Setting, memory=0.5),
        "jitter with correlation 0.9": partial(Setting, memory=0.9),
        "example noise with Student's tails, 3 degrees": partial(Setting, tails=3.0),
    }
    lines = head(["what differs", *(f"jitter {j:g}" for j in JITTERS)])
    for name, case in cases.items():
        cells = [
            false_alarms(case(curve=flat, jitter=j, example_noise=0.3, n=96), runs, controller)
            for j in JITTERS
        ]
        lines.append(row([name, *(f"{cell:.1f}%" for cell in cells)]))
    return lines


def row(cells: Sequence[str]) -> str:
    """One line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def head(cells: Sequence[str]) -> list[str]:
    """The first two lines of a Markdown table."""
    return [row(cells), row(["---"] * len(cells))]


def document(runs: int, controller: ValidationController) -> str:
    """All tables as Markdown."""
    errors, largest = error_table(runs, controller)
    parts = [
        f"{runs} runs a cell, {BUDGET.evaluations} planned validations. `python"
        f" scripts/calibrate_control.py --write --runs {runs}`",
        "",
        "**Runs with a false alarm**, where nothing got worse (overfitting: before it set in)."
        f" Largest cell: {largest:.1f}%, promised: at most {100 * controller.error_rate:g}%."
        " Jitter and noise are standard deviations as shares of the loss, n the validation"
        " examples.",
        "",
        *errors,
        "",
        "**Runs in which a true worsening was acted on** (rolled back or cut), and the median"
        " number of validations that took; 96 examples, noise 0.3; after half of the run, with"
        " five validations left, unless said otherwise.",
        "",
        *power_table(runs, controller),
        "",
        "**Where the assumptions fail**: runs with a false alarm; flat curve, 96 examples, noise"
        " 0.3.",
        "",
        *limits_table(runs, controller),
    ]
    return "\n".join(parts)


def write(text: str) -> None:
    """Put the tables between the markers of the document."""
    before, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Simulate, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000, help="simulated runs a cell")
    parser.add_argument("--write", action="store_true", help=f"write into {DOCUMENT.name}")
    args = parser.parse_args()
    text = document(args.runs, ValidationController())
    print(text)
    if args.write:
        write(text)


if __name__ == "__main__":
    main()
