"""What every task and every policy of the bench must do, as tests to inherit from.

    class TestMyTask(TaskSuite):
        def make(self): return my_task

collects them under pytest; plain `assert` is all that they use. A run of the task is trained once
or twice, so give a small one to `PolicySuite`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lrpilot.bench.policies import Policy
    from lrpilot.bench.task import Task

_SOME = 8  # examples that are looked at


class TaskSuite(ABC):
    """The contract of a task. Inherit, and give `make`."""

    @abstractmethod
    def make(self) -> Task:
        """The task."""

    def test_its_budget_and_grid_make_sense(self) -> None:
        task = self.make()
        assert task.name, "a task has a name"
        assert "," not in task.name, "the command line separates names by commas"
        assert task.steps >= 1, "a run has a step"
        assert task.batch_size >= 1, "a batch has an example"
        assert list(task.rates) == sorted(set(task.rates)), "the grid increases"
        assert len(task.rates) >= 3, "the grid has rates on both sides of the best"
        assert all(0 < rate < math.inf for rate in task.rates), "rates are positive and finite"

    def test_its_parts_can_be_drawn_and_their_losses_are_finite(self) -> None:
        import torch

        workload = self.make().build(0)
        model = workload.new_model().eval()
        for part in (workload.train, workload.validation, workload.test):
            chosen = torch.arange(min(_SOME, len(part)))
            with torch.no_grad():
                losses = workload.losses(model, part.batch(chosen))
            assert losses.shape == chosen.shape, "one loss an example"
            assert bool(torch.isfinite(losses).all()), "losses before training are finite"
            if workload.correct is not None:
                with torch.no_grad():
                    right = workload.correct(model, part.batch(chosen))
                assert right.shape == chosen.shape, "one verdict an example"

    def test_a_loss_does_not_depend_on_its_neighbours(self) -> None:
        import torch

        workload = self.make().build(0)
        model = workload.new_model().eval()
        chosen = torch.arange(min(_SOME, len(workload.validation)))
        with torch.no_grad():
            together = workload.losses(model, workload.validation.batch(chosen))
            alone = [
                workload.losses(model, workload.validation.batch(chosen[i : i + 1]))
                for i in range(len(chosen))
            ]
        torch.testing.assert_close(together, torch.cat(alone), rtol=1e-3, atol=1e-4)

    def test_the_pretrained_model_is_new_each_time(self) -> None:
        import torch

        workload = self.make().build(0)
        models = []
        for _ in range(2):
            torch.manual_seed(0)
            models.append(workload.new_model())
        first, second = (list(model.parameters()) for model in models)
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True)), "same weights"
        assert all(a is not b for a, b in zip(first, second, strict=True)), "not the same tensors"
        assert any(p.requires_grad for p in first), "something trains"

    def test_two_runs_of_a_seed_are_equal(self) -> None:
        from lrpilot.bench.lab import Lab

        task = self.make()
        lab = Lab(task, 0, task.build(0))
        rate = task.rates[len(task.rates) // 2]
        runs = []
        for _ in range(2):
            training = lab.start()
            runs.append([training.step(rate) for _ in range(2)])
        assert runs[0] == runs[1], "the order of the data and the new weights follow from the seed"


class PolicySuite(ABC):
    """The contract of a policy. Inherit, and give `make` and `make_task`."""

    @abstractmethod
    def make(self) -> Policy:
        """The policy."""

    @abstractmethod
    def make_task(self) -> Task:
        """A task with short runs."""

    def test_it_hands_back_a_finite_model_and_says_what_it_spent(self) -> None:
        import torch

        from lrpilot.bench.lab import Lab, Result

        task = self.make_task()
        lab = Lab(task, 0, task.build(0))
        result = self.make().run(lab)
        assert isinstance(result, Result), "a policy hands back a Result"
        assert all(bool(torch.isfinite(p).all()) for p in result.model.parameters()), "finite"
        assert lab.meter.passes > 0, "training through the lab is counted"
        assert result.peak_lr is None or 0 < result.peak_lr < math.inf, "a peak is a rate"

    def test_it_repeats_itself(self) -> None:
        import torch

        from lrpilot.bench.lab import Lab

        task = self.make_task()
        models = [self.make().run(Lab(task, 0, task.build(0))).model for _ in range(2)]
        first, second = (list(model.parameters()) for model in models)
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True)), "same seed"
