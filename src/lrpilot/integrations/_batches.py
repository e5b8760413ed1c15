"""Iteration over a data loader that can be turned back to a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from lrpilot.integrations._torch_state import rng_state, set_rng_state, to_cpu

Position = dict[str, Any]


class Batches:
    """Endless passes over a loader, with a position that can be kept and gone back to.

    A position is the random state in which the pass began and the number of batches since, so
    any loader whose order follows from its generators can be turned back; the batches before
    the position are drawn once more and dropped. It also holds the state in which the first pass
    began, to which a resumed run may have to go back.

    Args:
        loader: Anything that can be iterated over again and again, such as a DataLoader.
        done: Whether no further batch is wanted; asked before each one.
    """

    def __init__(self, loader: Iterable[Any], done: Callable[[], bool]) -> None:
        self._loader = loader
        self._done = done
        self._start = self._first = self._generators()
        self._index = 0
        self._turned = False

    def __iter__(self) -> Iterator[Any]:
        iterator = self._open()
        while not self._done():
            if self._turned:
                iterator = self._open()
            try:
                batch = next(iterator)
            except StopIteration:
                if self._index == 0:
                    return  # an empty loader
                self._start, self._index = self._generators(), 0
                iterator = iter(self._loader)
                continue
            self._index += 1
            yield batch

    def position(self) -> Position:
        """Where the iteration stands: after the batch that was yielded last."""
        return {"start": self._start, "index": self._index, "first": to_cpu(self._first)}

    def turn_to(self, position: Position | None) -> None:
        """Go on from a position with the next batch; None is the very beginning."""
        position = position or {"start": self._first, "index": 0, "first": self._first}
        self._start, self._index = position["start"], position["index"]
        self._first = position["first"]
        self._turned = True

    def _open(self) -> Iterator[Any]:
        """Start the pass of the present position and skip to it."""
        self._turned = False
        now = rng_state()
        set_rng_state(self._start["global"])
        for generator, state in zip(self._own_generators(), self._start["own"], strict=True):
            generator.set_state(state)
        iterator = iter(self._loader)
        for _ in range(self._index):
            next(iterator)
        if self._index:
            set_rng_state(now)
        return iterator

    def _generators(self) -> dict[str, Any]:
        own = [g.get_state() for g in self._own_generators()]
        return {"global": rng_state(), "own": own}

    def _own_generators(self) -> list[torch.Generator]:
        holders = (self._loader, getattr(self._loader, "sampler", None))
        found = [getattr(holder, "generator", None) for holder in holders]
        unique = {id(g): g for g in found if isinstance(g, torch.Generator)}
        return list(unique.values())
