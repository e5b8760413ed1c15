"""Regret, cost and failures of each policy, from the lines alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Line = dict[str, Any]
_PREFIX = "constant-"
ELSEWHERE = "best-elsewhere"
SEEDS = 3  # assumed: a standard deviation of two seeds is off by a factor of three now and then
_SAME_START = 1e-3  # assumed: relative; another pretraining differs by hundredths and more
_FARTHEST = 20.0  # standard deviations; where the search for a quantile begins
_RESAMPLES = 2000  # assumed: an interval's ends to about a twentieth of its width


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """A task's dense sweep.

    Attributes:
        task: Its name.
        rates: The grid, increasing.
        means: Mean test loss at each rate; infinity where a seed diverged.
        best: The rate with the lowest mean validation loss.
        losses: Test loss at `best` by seed.
        sd: Their standard deviation between seeds.
        width: Powers of ten of the grid within one `sd` of the best mean, steps between them.
    """

    task: str
    rates: tuple[float, ...]
    means: tuple[float, ...]
    best: float
    losses: dict[int, float]
    sd: float
    width: float

    @property
    def edge(self) -> bool:
        """Whether the best rate is the grid's first or last: the grid is then too short."""
        return self.best in (self.rates[0], self.rates[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One policy on one task.

    Attributes:
        task, policy: Which.
        seeds: Runs that are scored (the oracle has them too).
        regret: Mean test loss minus the oracle's of the same seed; infinity if one diverged.
        regret_sd: The same in the oracle's standard deviations between seeds.
        low, high: A 95% bootstrap interval of `regret_sd` over seeds.
        cost: Mean cost in runs.
        failed: Share of seeds that diverged or ended no better than before training.
        peak_lr: Median peak; None where there is none.
    """

    task: str
    policy: str
    seeds: int
    regret: float
    regret_sd: float
    low: float
    high: float
    cost: float
    failed: float
    peak_lr: float | None


def by_task(lines: Iterable[Line]) -> dict[str, dict[str, dict[int, Line]]]:
    """Task, then policy, then seed."""
    found: dict[str, dict[str, dict[int, Line]]] = defaultdict(lambda: defaultdict(dict))
    for line in lines:
        found[line["task"]][line["policy"]][line["seed"]] = line
    return found


def comparable(lines: Iterable[Line]) -> tuple[list[Line], int]:
    """The lines that began where most of the oracle's did, and how many did not.

    Weights that a task pretrains itself differ between machines, by rounding; a policy that began
    from others cannot be compared seed by seed. The test loss before training gives them away.
    """
    lines = list(lines)
    starts: dict[tuple[str, int], list[float]] = defaultdict(list)
    for line in lines:
        if line["policy"].startswith(_PREFIX):
            starts[line["task"], line["seed"]].append(float(line["untrained_loss"]))

    def same(line: Line) -> bool:
        known = starts.get((line["task"], line["seed"]))
        if not known:
            return True
        usual = sorted(known)[len(known) // 2]
        return math.isclose(float(line["untrained_loss"]), usual, rel_tol=_SAME_START)

    kept = [line for line in lines if same(line)]
    return kept, len(lines) - len(kept)


def loss_of(line: Line, key: str = "test_loss") -> float:
    """A line's loss; infinity for a run that diverged."""
    value = line.get(key)
    return math.inf if value is None else float(value)


def constants(policies: dict[str, dict[int, Line]]) -> dict[float, dict[int, Line]]:
    """The runs at each constant rate."""
    return {float(p.removeprefix(_PREFIX)): s for p, s in policies.items() if p.startswith(_PREFIX)}


def oracle(task: str, policies: dict[str, dict[int, Line]]) -> Oracle | None:
    """The dense sweep of a task; None before `SEEDS` of a constant rate are among the lines."""
    grid = constants(policies)
    most = max((len(seeds) for seeds in grid.values()), default=0)
    if most < SEEDS:
        return None
    rates = sorted(grid)
    whole = [r for r in rates if len(grid[r]) == most]

    def mean(rate: float, key: str) -> float:
        return float(np.mean([loss_of(line, key) for line in grid[rate].values()]))

    best = min(whole, key=lambda rate: mean(rate, "validation_loss"))
    losses = {seed: loss_of(line) for seed, line in grid[best].items()}
    sd = float(np.std(list(losses.values()), ddof=1))
    means = [mean(rate, "test_loss") for rate in rates]
    near = [r for r, m in zip(rates, means, strict=True) if m <= min(means) + sd]
    width = math.log10(near[-1] / near[0]) if near else 0.0
    return Oracle(task=task, rates=tuple(rates), means=tuple(means), best=best, losses=losses,
                  sd=sd, width=width)  # fmt: skip


def score(policy: str, runs: dict[int, Line], truth: Oracle) -> Score | None:
    """One policy against the oracle, seed by seed; None when they share no seed."""
    seeds = sorted(set(runs) & set(truth.losses))
    if not seeds:
        return None
    regrets = np.array([loss_of(runs[s]) - truth.losses[s] for s in seeds])
    low, high = bootstrap(regrets / truth.sd)
    peaks = [float(line["peak_lr"]) for line in runs.values() if line.get("peak_lr") is not None]
    return Score(
        task=truth.task,
        policy=policy,
        seeds=len(seeds),
        regret=float(regrets.mean()),
        regret_sd=float(regrets.mean() / truth.sd),
        low=low,
        high=high,
        cost=float(np.mean([runs[s]["cost"] for s in seeds])),
        failed=float(np.mean([loss_of(runs[s]) >= runs[s]["untrained_loss"] for s in seeds])),
        peak_lr=float(np.median(peaks)) if peaks else None,
    )


def bootstrap(values: NDArray[np.float64], *, seed: int = 0) -> tuple[float, float]:
    """A 95% percentile interval of the mean; of one value, or with infinity, it is (-inf, inf)."""
    if values.size < 2 or not np.isfinite(values).all():
        return -math.inf, math.inf
    drawn = np.random.default_rng(seed).choice(values, (_RESAMPLES, values.size)).mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def worst_by_chance(seeds: Sequence[int], share: float) -> float:
    """The worst task of a policy that is as good as the oracle, but ran on other seeds.

    A difference of two means of n independent runs scatters by the square root of 2/n standard
    deviations; the largest of many such is well above zero.

    Args:
        seeds: Of each task, at least one.
        share: So many of all such policies have no worse task; over 0 and below 1.

    Returns:
        A regret in standard deviations.
    """
    from scipy.optimize import brentq

    scatter, normal = [math.sqrt(2.0 / n) for n in seeds], NormalDist()

    def within(regret: float) -> float:
        return math.prod(normal.cdf(regret / s) for s in scatter)

    return float(brentq(lambda regret: within(regret) - share, -_FARTHEST, _FARTHEST))


def best_elsewhere(task: str, oracles: Sequence[Oracle]) -> float | None:
    """The grid rate with the lowest mean regret over the other tasks, in their sds.

    Regrets are capped at ten standard deviations, so that one divergence does not decide.
    """
    others = [o for o in oracles if o.task != task]
    if not others:
        return None
    common = sorted(set.intersection(*(set(o.rates) for o in [*others])))
    cap = 10.0  # assumed

    def regret(rate: float) -> float:
        each = [(o.means[o.rates.index(rate)] - min(o.means)) / o.sd for o in others]
        return float(np.mean(np.minimum(each, cap)))

    return min(common, key=regret) if common else None


def scores(lines: Iterable[Line]) -> tuple[list[Oracle], list[Score]]:
    """Every oracle and every other policy's score, with the constant that other tasks like best."""
    kept, _ = comparable(lines)
    tasks = by_task(kept)
    oracles = [o for task, policies in tasks.items() if (o := oracle(task, policies))]
    found: list[Score] = []
    for truth in oracles:
        policies = tasks[truth.task]
        named = {p: runs for p, runs in policies.items() if not p.startswith(_PREFIX)}
        rate = best_elsewhere(truth.task, oracles)
        grid = constants(policies)
        if rate in grid:
            named[ELSEWHERE] = grid[rate]
        found += [s for p, runs in named.items() if (s := score(p, runs, truth))]
    return oracles, found
