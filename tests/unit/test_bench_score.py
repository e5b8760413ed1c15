"""Scores recomputed by hand and by an independent path; the results file and its table."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrpilot.bench import score as scoring
from lrpilot.bench.runner import Cell, missing, read_lines
from lrpilot.bench.table import markdown
from lrpilot.errors import InputError

RESULTS = Path(__file__).parents[2] / "results"


def line(task: str, policy: str, seed: int, test: float | None, **more: Any) -> dict[str, Any]:
    return {
        "task": task,
        "policy": policy,
        "seed": seed,
        "test_loss": test,
        "validation_loss": test,
        "untrained_loss": 2.0,
        "cost": 1.0,
        "peak_lr": None,
    } | more


SWEEP = [
    line("a", "constant-1e-04", 0, 1.0),
    line("a", "constant-1e-04", 1, 1.2),
    line("a", "constant-1e-04", 2, 1.1),
    line("a", "constant-1e-03", 0, 0.5),
    line("a", "constant-1e-03", 1, 0.7),
    line("a", "constant-1e-03", 2, 0.6),
    line("a", "constant-1e-02", 0, 0.4),
    line("a", "constant-1e-02", 1, None),
    line("a", "constant-1e-02", 2, 0.3),
]


def test_the_oracle_is_chosen_by_validation_and_not_by_the_test_part() -> None:
    lines = [dict(x) for x in SWEEP]
    for x in lines:  # validation prefers 1e-4, the test part 1e-3
        x["validation_loss"] = 0.1 if x["policy"] == "constant-1e-04" else 0.9
    (oracle,), _ = scoring.scores(lines)
    assert oracle.best == 1e-4
    assert oracle.losses == {0: 1.0, 1: 1.2, 2: 1.1}


def test_a_rate_at_which_a_seed_diverged_is_never_the_best() -> None:
    (oracle,), _ = scoring.scores(SWEEP)
    assert oracle.best == 1e-3
    assert oracle.means == pytest.approx((1.1, 0.6, math.inf))
    assert oracle.sd == pytest.approx(0.1)  # of .5, .7 and .6
    assert not oracle.edge


def test_two_seeds_make_no_oracle() -> None:
    lines = [x for x in SWEEP if x["seed"] < 2]
    assert scoring.scores(lines) == ([], [])
    assert "3 seeds" in markdown(lines)


def test_regret_is_paired_by_seed_and_counted_in_the_oracles_sd() -> None:
    lines = [*SWEEP, line("a", "x", 0, 0.6, cost=1.5), line("a", "x", 1, 0.7, cost=2.5)]
    _, (found,) = scoring.scores(lines)
    assert (found.policy, found.seeds, found.cost, found.failed) == ("x", 2, 2.0, 0.0)
    assert found.regret == pytest.approx(0.05)
    assert found.regret_sd == pytest.approx(0.05 / 0.1)


@pytest.mark.parametrize(("seeds", "share"), [([8], 0.5), ([8] * 15, 0.5), ([2, 8, 50], 0.95)])
def test_the_worst_task_by_chance_is_what_drawing_gives(seeds: list[int], share: float) -> None:
    drawn = np.random.default_rng(0)
    runs = [drawn.normal(size=(2, 4000, n)).mean(2) for n in seeds]
    worst = np.max([policy - oracle for policy, oracle in runs], axis=0)
    assert scoring.worst_by_chance(seeds, share) == pytest.approx(
        float(np.quantile(worst, share)), abs=0.04
    )


def test_runs_that_began_from_other_weights_are_left_out_and_told_of() -> None:
    lines = [*SWEEP, line("a", "x", 0, 0.6), line("a", "x", 1, 0.0, untrained_loss=2.1)]
    _, (found,) = scoring.scores(lines)
    assert found.seeds == 1
    assert found.regret == pytest.approx(0.1)
    assert "left out: 1." in markdown(lines)
    assert "left out" not in markdown(lines[:-1])


def test_a_diverged_or_collapsed_seed_is_counted() -> None:
    lines = [*SWEEP, line("a", "x", 0, None), line("a", "x", 1, 2.5)]
    _, (found,) = scoring.scores(lines)
    assert found.failed == 1.0
    assert found.regret == math.inf
    assert "diverged" in markdown(lines)


def test_the_best_constant_elsewhere_never_looks_at_its_own_task() -> None:
    other = [dict(x, task="b") for x in SWEEP]
    for x in other:  # on b the lowest rate is best by far
        if x["policy"] == "constant-1e-04":
            x["test_loss"] = x["validation_loss"] = 0.1 + 0.01 * x["seed"]
    _, found = scoring.scores([*SWEEP, *other])
    chosen = {s.task: s.regret for s in found if s.policy == scoring.ELSEWHERE}
    assert chosen["a"] == pytest.approx(0.5)  # 1e-4 is taken over from b
    assert chosen["b"] == pytest.approx(0.6 - 0.11)  # 1e-3 from a


def test_a_bootstrap_interval_of_a_mean_is_about_two_standard_errors_each_way() -> None:
    values = np.random.default_rng(3).normal(0.0, 1.0, 400)
    low, high = scoring.bootstrap(values)
    error = values.std(ddof=1) / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.03)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.03)


# -- the results file ---------------------------------------------------------------------------


def test_a_broken_last_line_is_dropped_and_its_cell_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(SWEEP[0]) + "\n" + json.dumps(SWEEP[1])[:20])
    assert read_lines(path) == [SWEEP[0]]
    cells = [Cell("a", "constant-1e-04", 0), Cell("a", "constant-1e-04", 1)]
    assert missing(cells, path) == cells[1:]


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("{}\n{oops\n{}\n")
    with pytest.raises(InputError, match="line 2"):
        read_lines(path)


# -- the committed results ----------------------------------------------------------------------


def by_hand(lines: Path) -> dict[tuple[str, str], float]:
    """Mean regret in sd of every policy on every task, without the module under test."""
    found: dict[tuple[str, str], dict[int, dict[str, Any]]] = defaultdict(dict)
    for text in lines.read_text().splitlines():
        row = json.loads(text)
        found[row["task"], row["policy"]][row["seed"]] = row
    regrets = {}
    for task in {task for task, _ in found}:
        grid = {p: s for (t, p), s in found.items() if t == task and p.startswith("constant-")}
        whole = {p: s for p, s in grid.items() if len(s) == max(map(len, grid.values()))}
        if max(map(len, grid.values())) < 3:
            continue
        best = min(
            whole.values(),
            key=lambda s: statistics.fmean(
                math.inf if r["validation_loss"] is None else r["validation_loss"]
                for r in s.values()
            ),
        )
        sd = statistics.stdev(r["test_loss"] for r in best.values())
        for (t, policy), runs in found.items():
            if t == task and not policy.startswith("constant-"):
                each = [
                    math.inf if r["test_loss"] is None else r["test_loss"] - best[s]["test_loss"]
                    for s, r in runs.items()
                    if s in best
                ]
                regrets[t, policy] = statistics.fmean(each) / sd
    return regrets


@pytest.mark.parametrize(("lines", "table"), [("bench.jsonl", "table.md"), ("gpu.jsonl", "gpu.md")])
def test_the_committed_scores_follow_from_the_committed_lines(lines: str, table: str) -> None:
    _, found = scoring.scores(read_lines(RESULTS / lines))
    ours = {(s.task, s.policy): s.regret_sd for s in found if s.policy != scoring.ELSEWHERE}
    assert ours == pytest.approx(by_hand(RESULTS / lines))
    assert (RESULTS / table).read_text() == markdown(read_lines(RESULTS / lines))
