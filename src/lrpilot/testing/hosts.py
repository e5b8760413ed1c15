"""What every host must do for the session, as tests to inherit from.

    class TestMine(HostSuite):
        def make(self): ...

collects them under pytest; plain `assert` is all that they use.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrpilot.integrations._host import Host


@dataclass(frozen=True, slots=True)
class Bench:
    """A host that is about to train, with what it takes to look at it from outside.

    Attributes:
        host: The host; its run has begun.
        train: Takes so many optimizer steps under whatever rate is set.
        rates: The absolute rate of every parameter group, now.
        state: Everything that training changes, flat: names to arrays or plain values.
    """

    host: Host
    train: Callable[[int], None]
    rates: Callable[[], list[float]]
    state: Callable[[], dict[str, Any]]


class HostSuite(ABC):
    """The contract of a host. Inherit, and give `make`."""

    @abstractmethod
    def make(self) -> Bench:
        """A fresh bench; its optimizer has two groups with different rates."""

    def test_rates_are_proportional_to_the_scale_and_keep_their_ratios(self) -> None:
        bench = self.make()
        bench.host.set_lr_scale(1.0)
        base = bench.rates()
        for scale in (2.0, 0.25, 1024.0, 1.0):
            said = bench.host.set_lr_scale(scale)
            np.testing.assert_allclose(bench.rates(), np.multiply(scale, base), rtol=1e-9)
            assert any(np.isclose(said, lr, rtol=1e-9) for lr in bench.rates())

    def test_a_snapshot_comes_back_exactly_and_more_than_once(self) -> None:
        bench = self.make()
        bench.train(2)
        before = bench.state()
        snapshot = bench.host.snapshot()
        for scale in (1.0, 50.0):
            bench.host.set_lr_scale(scale)
            bench.train(2)
            assert not _equal(before, bench.state())
            bench.host.restore(snapshot)
            assert _equal(before, bench.state())

    def test_weights_are_stretched_along_the_line_and_nothing_else_moves(self) -> None:
        bench = self.make()
        bench.train(1)
        before, origin = bench.state(), bench.host.snapshot()
        bench.train(2)
        after, snapshot = bench.state(), bench.host.snapshot()
        bench.host.stretch(origin, snapshot, 1.5)
        stretched = bench.state()
        moved = [name for name in after if not np.array_equal(after[name], stretched[name])]
        assert moved
        for name in moved:
            want = before[name] + 1.5 * (after[name] - before[name])
            np.testing.assert_allclose(stretched[name], want, rtol=1e-4, atol=1e-6)
        bench.host.stretch(origin, snapshot, 1.0)
        assert _equal(after, bench.state())

    def test_training_after_a_restore_repeats_itself(self) -> None:
        bench = self.make()
        bench.train(1)
        snapshot = bench.host.snapshot()
        bench.host.restore(snapshot)
        bench.train(1)
        first = bench.state()
        bench.host.restore(snapshot)
        bench.train(1)
        assert first.keys() == bench.state().keys()

    def test_validation_leaves_no_trace(self) -> None:
        bench = self.make()
        bench.train(1)
        before = bench.state()
        assert bench.host.evaluate() is not None
        assert _equal(before, bench.state())

    def test_two_validations_of_one_state_pair_exactly(self) -> None:
        bench = self.make()
        first, second = bench.host.evaluate(), bench.host.evaluate()
        assert first is not None
        assert second is not None
        np.testing.assert_array_equal(first.values, second.values)
        assert first.n > 1


def _equal(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(v, b[k]) for k, v in a.items())
