"""How far published sources disagree on the same thing: the floor under any error of `recommend`.

    python scripts/recommend_disagreement.py

For each recipe, the median rate of all *other* sources that published on the same model (or family,
or cell) with the same method, optimizer and group of tasks is taken as the answer: what a perfect
memory of everybody else would have said. Prints its error, in powers of ten, in seconds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lrpilot.recommend.cases import Case, recipe_case
from lrpilot.recommend.table import load_recipes

Key = Callable[[Case], tuple[str | None, ...]]
KEYS: dict[str, Key] = {
    "model, method, optimizer, task group": lambda c: (c.model, c.method, c.optimizer,
                                                       c.task_group),
    "model, method, optimizer": lambda c: (c.model, c.method, c.optimizer),
    "family, method, optimizer, task group": lambda c: (c.family, c.method, c.optimizer,
                                                        c.task_group),
    "family, method, optimizer": lambda c: (c.family, c.method, c.optimizer),
    "domain, pretraining, method, optimizer": lambda c: (c.domain, c.tuned, c.method, c.optimizer),
}  # fmt: skip


def main() -> None:
    """Print one line a key."""
    recipes = load_recipes()
    cases = [recipe_case(recipe) for recipe in recipes]
    rates = np.log10([recipe.peak_lr for recipe in recipes])
    print("| others agree on | recipes with another source | MAE | within 3x |")
    print("|---|---|---|---|")
    for name, key in KEYS.items():
        errors = []
        for i, case in enumerate(cases):
            if None in key(case):
                continue
            others = [rates[j] for j, other in enumerate(cases)
                      if other.source != case.source and key(other) == key(case)]  # fmt: skip
            if others:
                errors.append(abs(rates[i] - float(np.median(others))))
        found = np.array(errors)
        near = float((found <= np.log10(3) + 1e-9).mean())
        print(f"| {name} | {len(found)} | {found.mean():.3f} | {near:.0%} |")


if __name__ == "__main__":
    main()
