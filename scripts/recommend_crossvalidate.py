"""Cross-validate `recommend`, leaving out whole families, and whole sources.

    python scripts/recommend_crossvalidate.py [--folds N] [--table FILE.csv] [--no-write]
                                              [--rows FILE.csv]

Each family (or source) is answered from all others. The fit never saw it: families are thrown into
folds (8 unless said otherwise), and everything is fitted anew on the rest of the folds: the
variances, what sets recipes apart, the band's factors, the slope for short runs. `--folds 0` fits
anew for each family and source (hours). Writes the tables into docs/recommend.md, between its
markers. About ten minutes on one core. `--rows` stores each recipe's held-out answers, to look up
the worst in their sources.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrpilot.recommend import corrections
from lrpilot.recommend.blend import Blend
from lrpilot.recommend.calibration import COVERAGE, LEVELS
from lrpilot.recommend.cases import recipe_case
from lrpilot.recommend.fitting import Study, fit_short_runs, nested
from lrpilot.recommend.table import DEFAULT_TABLE, Recipe, load_recipes

DOC = Path(__file__).parents[1] / "docs" / "recommend.md"
MARKS = ("<!-- cross-validation -->", "<!-- end of cross-validation -->")
FEWEST = 8  # assumed: a cell of the table with fewer recipes would only show noise


@dataclass(frozen=True, slots=True)
class Outcome:
    """Held-out predictions of every recipe, in log10; nan where a rival does not answer."""

    centre: NDArray[np.float64]
    peak: NDArray[np.float64]
    half: NDArray[np.float64]
    level: NDArray[np.str_]
    rivals: dict[str, NDArray[np.float64]]


def main() -> None:
    """Run both cross-validations and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, default=DEFAULT_TABLE)
    parser.add_argument("--folds", type=int, default=8)
    parser.add_argument("--no-write", action="store_true")
    parser.add_argument("--rows", type=Path)
    args = parser.parse_args()
    recipes = load_recipes(args.table)
    rates = np.log10([recipe.peak_lr for recipe in recipes])
    study = Study([recipe_case(recipe) for recipe in recipes], rates)
    families = np.array([recipe.family for recipe in recipes])
    sources = np.array([recipe.source for recipe in recipes])
    outcomes = {}
    for name, groups in (("family", families), ("source", sources)):
        outcomes[name] = hold_out(study, recipes, groups, families, sources, args.folds or None)
    text = report(recipes, rates, outcomes, args.folds)
    print(text)
    if not args.no_write:
        write_between(DOC, MARKS, text)
    if args.rows:
        write_rows(args.rows, recipes, outcomes)


def hold_out(
    study: Study,
    recipes: Sequence[Recipe],
    groups: NDArray[Any],
    families: NDArray[Any],
    sources: NDArray[Any],
    folds: int | None,
) -> Outcome:
    """Each group predicted from the others alone."""
    count = len(recipes)
    out = Outcome(*(np.full(count, np.nan) for _ in range(3)), np.full(count, "", dtype="U8"), {})
    fitted: dict[int, dict[str, corrections.ShortRuns]] = {}
    for done, found in enumerate(nested(study, groups, families, sources, folds=folds), 1):
        if id(found.fit) not in fitted:  # one for each fit
            rows = found.fitted
            blend = Blend([study.cases[i] for i in rows], study.log_rates[rows], found.fit)
            fitted = {id(found.fit): fit_short_runs(blend, [recipes[i] for i in rows])}
        answers = found.answers
        for k, i in enumerate(answers.index):
            case = study.cases[i]
            shifts = [
                corrections.short_run(case, fitted[id(found.fit)]),
                corrections.lora_rank(recipes[i].lora_rank, case.method),
            ]
            known = [shift for shift in shifts if shift]
            out.centre[i] = answers.mean[k] + sum(shift.by for shift in known)
            careful = corrections.caution(case, float(answers.sd_best[k]))
            out.peak[i] = out.centre[i] + (careful.by if careful else 0.0)
            sd = np.sqrt(answers.sd[k] ** 2 + sum(shift.sd**2 for shift in known))
            out.half[i] = sd * found.scales[answers.level[k]]
            out.level[i] = answers.level[k]
        for name, values in rivals(recipes, study.log_rates, found.kept, answers.index).items():
            out.rivals.setdefault(name, np.full(count, np.nan))[answers.index] = values
        print(f"{done}: {groups[answers.index[0]]}, {len(answers.index)} recipes", flush=True)
    return out


def rivals(
    recipes: Sequence[Recipe], rates: NDArray[Any], kept: NDArray[Any], asked: NDArray[Any]
) -> dict[str, list[float]]:
    """What simpler rules say of the recipes asked, from the recipes kept where they need any."""
    overall = float(np.median(rates[kept]))
    methods = np.array([recipes[i].method for i in kept])

    def by_method(recipe: Recipe) -> float:
        same = rates[kept][methods == recipe.method]
        return float(np.median(same)) if len(same) else overall

    rows = [recipes[i] for i in asked]
    return {
        "global median": [overall for _ in rows],
        "median of the method": [by_method(row) for row in rows],
        "Hugging Face's default, 5e-5": [float(np.log10(5e-5)) for _ in rows],
        "the article's table": [float(np.log10(article_rate(row))) for row in rows],
        "tinker-cookbook's formula": [tinker_rate(row) for row in rows],
    }


def article_rate(recipe: Recipe) -> float:
    """The article's fine-tuning rate for the nearest of its three rows."""
    if recipe.architecture in ("vit", "cnn"):
        return 5e-5  # paper: the article's ResNet row
    return 2e-5 if recipe.architecture in ("decoder", "encoder-decoder") else 1e-5


def tinker_rate(recipe: Recipe) -> float:
    """log10 of 5e-5 x (10 with LoRA) x (2000 / hidden)**k; nan for families that it refuses.

    Source: thinking-machines-lab/tinker-cookbook, tinker_cookbook/hyperparam_utils.py.
    """
    powers = {"llama1": 0.781, "llama2": 0.781, "llama3": 0.781, "qwen": 0.0775}
    if recipe.family not in powers or recipe.method not in ("full", "lora", "qlora"):
        return float("nan")
    if recipe.hidden_size is None or recipe.architecture != "decoder":
        return float("nan")
    base = 5e-5 * (1.0 if recipe.method == "full" else 10.0)
    return float(np.log10(base * (2000.0 / recipe.hidden_size) ** powers[recipe.family]))


def report(
    recipes: Sequence[Recipe], rates: NDArray[Any], outcomes: dict[str, Outcome], folds: int
) -> str:
    """The tables, as Markdown."""
    families, sources = {r.family for r in recipes}, {r.source for r in recipes}
    how = f"by fits of {folds} folds" if folds else "by a fit for each"
    lines = [
        f"{len(recipes)} recipes of {len(families)} families and {len(sources)} sources;"
        f" families and sources left out one at a time, {how}. MAE in powers of ten.",
        "",
        "| | left out | recipes | MAE | within 3x | within 10x | 80% band holds |",
        "|---|---|---|---|---|---|---|",
    ]
    for left, out in outcomes.items():
        lines.append(_line("**lrpilot, the centre**", left, rates, out.centre, out.half))
        lines.append(_line("lrpilot, the rate it starts with", left, rates, out.peak, None))
        for name, values in out.rivals.items():
            lines.append(_line(name, left, rates, values, None))
            if np.isnan(values).any():
                answered = ~np.isnan(values)
                ours = np.where(answered, out.centre, np.nan)
                lines.append(_line("lrpilot on the same recipes", left, rates, ours, out.half))
    lines += ["", "Each source, then each family, counted once:", ""]
    for left, out in outcomes.items():
        miss = np.abs(out.centre - rates)
        by = {
            name: np.mean([miss[np.array(labels) == label].mean() for label in set(labels)])
            for name, labels in (
                ("sources", [r.source for r in recipes]),
                ("families", [r.family for r in recipes]),
            )
        }
        lines.append(f"- {left} left out: {by['sources']:.2f} over sources,"
                     f" {by['families']:.2f} over families")  # fmt: skip
    lines += ["", "| left out | answered at level | recipes | MAE | within 3x | band holds |"
              " half-width of the band |", "|---|---|---|---|---|---|---|"]  # fmt: skip
    for left, out in outcomes.items():
        for level in LEVELS:
            chosen = out.level == level
            if chosen.any():
                miss = np.abs(out.centre - rates)[chosen]
                lines.append(
                    f"| {left} | {level} | {chosen.sum()} | {miss.mean():.2f} |"
                    f" {np.mean(miss <= np.log10(3)):.0%} | {np.mean(miss <= out.half[chosen]):.0%}"
                    f" | x {10 ** np.median(out.half[chosen]):.1f} |"
                )
    lines += ["", f"By architecture and method, cells of {FEWEST} recipes or more:", "",
              "| architecture | method | recipes | family left out: MAE | within 3x | band holds |"
              " source left out: MAE | within 3x | band holds |",
              "|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    return "\n".join(lines + _cells(recipes, rates, outcomes))


def _line(
    name: str,
    left: str,
    rates: NDArray[Any],
    values: NDArray[Any],
    half: NDArray[Any] | None,
) -> str:
    answered = ~np.isnan(values)
    miss = np.abs(values - rates)[answered]
    band = "" if half is None else f"{np.mean(miss <= half[answered]):.1%}"
    return (
        f"| {name} | {left} | {answered.sum()} | {miss.mean():.3f} |"
        f" {np.mean(miss <= np.log10(3)):.0%} | {np.mean(miss <= 1.0):.0%} | {band} |"
    )


def _cells(
    recipes: Sequence[Recipe], rates: NDArray[Any], outcomes: dict[str, Outcome]
) -> list[str]:
    keys = [(recipe.architecture, recipe.method) for recipe in recipes]
    lines = []
    for key in sorted(set(keys), key=lambda k: -keys.count(k)):
        if keys.count(key) < FEWEST:
            continue
        chosen = np.array([k == key for k in keys])
        cells = []
        for out in outcomes.values():
            miss = np.abs(out.centre - rates)[chosen]
            cells.append(
                f"{miss.mean():.2f} | {np.mean(miss <= np.log10(3)):.0%} |"
                f" {np.mean(miss <= out.half[chosen]):.0%}"
            )
        lines.append(f"| {key[0]} | {key[1]} | {chosen.sum()} | {' | '.join(cells)} |")
    return lines


def write_rows(path: Path, recipes: Sequence[Recipe], outcomes: dict[str, Outcome]) -> None:
    """Each recipe, and log10 of the rate answered with its family, and its source, left out."""
    facts = ("model", "family", "architecture", "method", "optimizer", "task", "repo", "path")
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow([*facts, "log_rate", *(f"without_{left}" for left in outcomes)])
        for i, recipe in enumerate(recipes):
            answers = (f"{outcome.centre[i]:.3f}" for outcome in outcomes.values())
            rate = f"{np.log10(recipe.peak_lr):.3f}"
            out.writerow([*(getattr(recipe, name) for name in facts), rate, *answers])


def write_between(path: Path, marks: tuple[str, str], text: str) -> None:
    """Replace what stands between two marks of a document."""
    whole = path.read_text(encoding="utf-8")
    before, _, rest = whole.partition(marks[0])
    _, _, after = rest.partition(marks[1])
    path.write_text(f"{before}{marks[0]}\n{text}\n{marks[1]}{after}", encoding="utf-8")


assert COVERAGE == 0.8  # the tables' headings say 80%

if __name__ == "__main__":
    main()
