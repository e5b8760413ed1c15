"""Parts that share nothing: stratified by label, seeded, duplicates kept on one side."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from lrpilot.errors import InputError

Indices = NDArray[np.int64]
T = TypeVar("T")

# assumed: with fewer, neither a batch nor a validation loss says anything.
MIN_EXAMPLES = 16
# assumed: one example of a class to learn from and one to be judged by.
MIN_PER_CLASS = 2
# assumed: a fifth for validation, as far as 2,000 examples, whose accuracy has a standard error
# of at most .011; more would only cost time at every evaluation.
VALIDATION_FRAC, MAX_VALIDATION = 0.2, 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts(Generic[T]):
    """What to train on, what to steer by, and (where there is one) what to be judged by."""

    train: T
    validation: T
    test: T | None = None


def validation_size(examples: int) -> int:
    """How many of `examples` examples to hold out when the user gives no validation file."""
    return min(MAX_VALIDATION, max(1, round(VALIDATION_FRAC * examples)))


def check_size(labels: NDArray[np.int64], label_names: Sequence[str], *, what: str) -> None:
    """Refuse data that cannot be split and learned from.

    Args:
        labels: Class of each example, shape (examples,).
        label_names: Name of each class.
        what: The data in words, for the message ("reviews.csv").

    Raises:
        InputError: Fewer than 16 examples, one class only, or a class with a single example.
    """
    if len(labels) < MIN_EXAMPLES:
        raise InputError(
            f"{what} holds {len(labels)} examples: give at least {MIN_EXAMPLES}, "
            "and some hundreds for a result worth having"
        )
    counts = np.bincount(labels, minlength=len(label_names))
    present = np.flatnonzero(counts)
    if len(present) < 2:
        raise InputError(
            f"{what} holds one class only ({label_names[int(present[0])]!r}): "
            "classification needs at least two"
        )
    small = [label_names[int(i)] for i in present if counts[i] < MIN_PER_CLASS]
    if small:
        named = ", ".join(repr(name) for name in small[:5]) + (", ..." if len(small) > 5 else "")
        raise InputError(
            f"{what}: {len(small)} of {len(present)} classes have a single example ({named}): "
            f"give at least {MIN_PER_CLASS} of each, leave such classes out, or give a "
            "validation file"
        )


def split_indices(
    labels: NDArray[np.int64],
    *,
    sizes: Sequence[int],
    seed: int,
    groups: Sequence[Hashable] | None = None,
) -> tuple[Indices, ...]:
    """Draw disjoint parts of about the given sizes; the rest is the last part returned.

    Every class is spread over the parts in proportion to their sizes (largest remainder), with at
    least one example left for the rest. Examples of one group never part, so a part can be a few
    examples larger or smaller than asked where groups are large.

    Args:
        labels: Class of each example, shape (examples,).
        sizes: Number of examples wanted in each part.
        seed: Seed of the shuffle.
        groups: What must stay together, one key an example (the text itself, say); None where
            every example stands alone.

    Returns:
        One sorted index array for each size, then the one of all that is left.

    Raises:
        InputError: The parts together ask for as many examples as there are, or more.
    """
    total = len(labels)
    if sum(sizes) >= total:
        raise InputError(f"cannot hold out {sum(sizes)} of {total} examples: hold out fewer")
    members = _members(groups if groups is not None else range(total))
    rng = np.random.default_rng(seed)
    taken: list[list[int]] = [[] for _ in range(len(sizes) + 1)]
    by_class: dict[int, list[list[int]]] = {}
    for group in members:
        by_class.setdefault(int(labels[group[0]]), []).append(group)
    wanted = _quotas({c: sum(map(len, g)) for c, g in by_class.items()}, sizes, total)
    for label in sorted(by_class):
        order = [by_class[label][i] for i in rng.permutation(len(by_class[label]))]
        for part, quota in zip(taken, wanted[label], strict=False):
            count = 0
            while count < quota and len(order) > 1:
                group = order.pop()
                part.extend(group)
                count += len(group)
        taken[-1].extend(i for group in order for i in group)
    return tuple(np.array(sorted(part), dtype=np.int64) for part in taken)


def _members(groups: Sequence[Hashable] | range) -> list[list[int]]:
    """Indices of each group, in order of first appearance."""
    found: dict[Hashable, list[int]] = {}
    for index, key in enumerate(groups):
        found.setdefault(key, []).append(index)
    return list(found.values())


def _quotas(counts: dict[int, int], sizes: Sequence[int], total: int) -> dict[int, list[int]]:
    """How many examples each part takes of each class: proportional, by largest remainder."""
    quotas: dict[int, list[int]] = {label: [] for label in counts}
    for size in sizes:
        exact = {label: size * count / total for label, count in counts.items()}
        whole = {label: int(share) for label, share in exact.items()}
        spare = size - sum(whole.values())
        for label in sorted(counts, key=lambda c: (whole[c] - exact[c], c))[:spare]:
            whole[label] += 1
        for label in counts:
            quotas[label].append(whole[label])
    return quotas
