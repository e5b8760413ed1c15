"""The table of published recipes, read once and only when it is asked for."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lrpilot.errors import InputError

DEFAULT_TABLE = Path(__file__).parent / "data" / "recipes.csv"
TRUTH = ("sweep-best", "author-recipe")  # an example's default is never truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One published fine-tuning recipe with a single peak rate; None where it says nothing."""

    model: str
    family: str
    architecture: str
    pretraining: str
    params: float | None
    hidden_size: float | None
    method: str
    lora_rank: float | None
    task: str
    dataset: str
    train_examples: float | None
    optimizer: str
    peak_lr: float
    batch_size: float | None
    epochs: float | None
    steps: float | None
    schedule: str | None
    warmup: str | None
    layerwise_decay: float | None
    repo: str
    path: str
    commit: str
    note: str
    evidence: str

    @property
    def source(self) -> str:
        """Who says so: a repository, or one file of the index that names no repository."""
        return f"{self.repo}:{self.path}" if self.repo == "stored-index" else self.repo

    @property
    def link(self) -> str:
        """Where a reader can check the number."""
        if self.commit.startswith("http"):
            return self.commit
        if "/" in self.repo and self.commit and " " not in self.repo:
            return f"https://github.com/{self.repo}/blob/{self.commit}/{self.path}"
        return f"{self.repo}: {self.path}"


@lru_cache(maxsize=4)
def load_recipes(path: Path = DEFAULT_TABLE) -> tuple[Recipe, ...]:
    """The rows that count as truth: a search's winner or an author's recipe, one rate each.

    Raises:
        InputError: The file is absent or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InputError(f"no table of recipes at {path}: {error.strerror}") from error
    try:
        return tuple(
            _recipe(row) for row in rows if row["evidence"] in TRUTH and _number(row["peak_lr"])
        )
    except KeyError as error:
        raise InputError(f"{path} has no column {error}: give a table of recipes") from error


def _recipe(row: dict[str, str]) -> Recipe:
    batch = _number(row["batch_size"])
    examples, epochs = _number(row["train_examples"]), _number(row["epochs"])
    steps = _number(row["steps"])
    if steps is None and batch and examples and epochs:
        steps = max(1.0, epochs * examples / batch)
    millions = _number(row["params_millions"])
    return Recipe(
        model=row["model"],
        family=row["family"],
        architecture=row["architecture"],
        pretraining=row["pretraining"],
        params=millions * 1e6 if millions else None,
        hidden_size=_number(row["hidden_size"]),
        method=row["method"],
        lora_rank=_number(row["lora_rank"]),
        task=row["task"],
        dataset=row["dataset"],
        train_examples=examples,
        optimizer=row["optimizer"],
        peak_lr=float(row["peak_lr"]),
        batch_size=batch,
        epochs=epochs,
        steps=steps,
        schedule=row["schedule"] or None,
        warmup=row["warmup"] or None,
        layerwise_decay=_number(row["layerwise_decay"]),
        repo=row["source_repo"],
        path=row["source_path"],
        commit=row["source_commit_or_url"],
        note=row["note"],
        evidence=row["evidence"],
    )


def _number(text: str | None) -> float | None:
    """A positive number, or None for what is empty or in words ("65536 tokens")."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None
