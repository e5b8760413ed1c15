"""Every constant of the default controller, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from lrpilot.control.types import Budget
from lrpilot.facts import Recommendation


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSettings:
    """When to ask for more, when to go back, how far to stretch.

    Attributes:
        warmup_frac: Share of the budget in which the rate rises.
        harm, margin: The warm-up failed if validation is worse by this share, at this one-sided
            p-value.
        sure_harm: The p-value at which a recommendation is left, in the warm-up and after it.
        most_losses: About so many training losses a tenth of the run, evenly spread, are kept for
            that, and while batches are new against a roll-back that they do not bear out.
        restart_factor: Level of a new warm-up, as a share of one that failed.
        relief: Share of the harm that a new warm-up has to spare; if not, it was not the rate's.
        early_times, early_run: So many training losses in a row, above this multiple of the one
            that training began with, ask for a validation at once.
        branch_frac, least_steps: Length of a trial's branch as a share of the budget, and in steps;
            where it would be shorter nothing is tried.
        until: No trial ends after this share of the budget.
        first_factor, factor: Rate of the higher branch, as a multiple, until that is too much, and
            from there. A number of the user's that is above what the sizes of the weights suggest
            by more than `factor`, or below it by more than `first_factor` in a short run, is left
            for that; within `factor` of it, in a short run, it is not tried.
        agreement, doubt: The rate is raised if the mean difference of the branches over validation
            examples is so many standard deviations of that difference, at this p-value.
        rest_frac: Share of the budget between validations in the rest.
        look_frac: The same from the warm-up to the first, where examples may be learnt by heart
            until then: what a roll-back returns to should be early.
        late_harm, late_margin: The same as `harm` and `margin`, in the rest. After `new_epochs` a
            state is the best one only if it is better at `late_harm`, too.
        second_look, least_settle: One that is worse is asked again after as many steps as a branch
            has, annealed to zero, where there are so many at least, and a validation can be had.
        cut_factor: Level after a roll-back in the rest, or a trial both of whose branches did harm,
            as a share of the one before.
        keep_level: Level of the test by which an earlier state is kept at the end.
        heart_held, heart_factor: Where validation gained less than this share of what training did
            since the start, and is not better than before at `late_harm`, training learns its
            examples by heart: back to the best state, and the level is multiplied by this. Where
            annealed steps make it better at that level, only the latter. Not in the first
            `new_epochs`, nor without a second look.
        new_epochs: For so many epochs data are nearly new: little can be learnt by heart.
        max_rollbacks: Roll-backs after which a worse validation changes nothing any more.
        stretch_factor: The change of the weights since the start is first multiplied and divided
            by this, and further on where validation goes on falling.
        further_doubt, back_doubt: So many times its error over examples the slope must at least be.
        most_stretches: Validations for that, at most.
        stretch_reserve: Validations that are left for that while a recommendation runs on data
            nearly new.
        own_head_rate: A new head on a pretrained body takes larger steps than the rest, as far as
            its inputs allow (the host sees to it).
    """

    warmup_frac: float = 0.1  # assumed: the usual share
    harm: float = 0.1  # assumed
    sure_harm: float = 0.005  # measured: docs/log.md, "Mild doubts about a recommendation"
    most_losses: int = 100  # assumed: more tell no more, and are carried along at every step
    margin: float = 0.02  # measured: docs/log.md, finds harm on six tasks
    restart_factor: float = 1 / 8  # assumed: a band's half-width
    relief: float = 0.5  # assumed: an eighth of the rate does much less harm than half
    early_times: float = 1.5  # assumed: docs/log.md, "An early sign", 1.25 to 2 are alike
    early_run: int = 3  # assumed: one or two are noise in small batches
    branch_frac: float = 0.04  # measured: docs/log.md, .03 to .05 are alike
    least_steps: int = 2  # assumed: one step shows nothing, a power of ten shows in two
    until: float = 0.6  # assumed: what is left has to be worth a raise
    first_factor: float = 10.0  # assumed: a power of ten, until that is too much
    factor: float = 3.0  # measured: docs/log.md, 4 is a bit worse
    agreement: float = 0.4  # measured: docs/log.md, two classes rarely gain alike
    doubt: float = 0.01  # assumed: there is nothing to be left
    look_frac: float = 0.1  # measured: docs/log.md, "Learning by heart"
    rest_frac: float = 0.25  # measured: docs/log.md, more often costs what it gains
    late_harm: float = 0.1  # measured: docs/log.md, without roll-backs noisy labels lose
    late_margin: float = 0.01  # measured: docs/log.md, .02 loses with noisy labels
    second_look: bool = True  # measured: docs/log.md, "Doubts in the rest"
    least_settle: int = 3  # assumed: two steps are no anneal
    cut_factor: float = 0.5  # measured: docs/log.md, a third is no better
    heart_held: float = 0.85  # measured: docs/log.md, "Learning by heart"
    heart_factor: float = 1 / 3  # measured: docs/log.md, better than half
    keep_level: float = 0.005  # assumed: .05 shared over ten validations
    new_epochs: float = 2.0  # assumed: before, few examples mislead (docs/log.md)
    max_rollbacks: int = 8  # assumed
    stretch_factor: float = 1.1  # measured: docs/log.md, "The lowest point of a parabola"
    further_doubt: float = 1.4  # measured: docs/log.md, the same
    back_doubt: float = 0.7  # measured: docs/log.md, less helps where the rate was too high
    most_stretches: int = 6  # assumed: three more steps
    stretch_reserve: int = 3  # both sides, and the place between
    own_head_rate: bool = True  # measured: docs/log.md, "A new head"

    def starting(self, recommendation: Recommendation, budget: Budget) -> tuple[bool, float]:
        """Whether anything vouches for the start, and the start as a multiple of what was given."""
        founded, start = recommendation.high > recommendation.low, 1.0
        if recommendation.reference_lr is not None:
            times = recommendation.reference_lr / recommendation.peak_lr
            low = budget.short and times > self.first_factor
            if low or times < 1 / self.factor:
                founded, start = True, times
            elif budget.short and times <= self.factor:
                founded = True
        return founded, start

    def shape(self, budget: Budget, phase: str, done: int, factor: float) -> float:
        """What a phase makes of the rate, after so many steps of it."""
        if phase == "warmup":
            return min(1.0, (done + 1) / self.warm_steps(budget))
        if phase not in ("higher", "same", "settle"):
            return 1.0
        length = self.branch_steps(budget)
        shape = 1.0 - min(done, length - 0.5) / length  # never zero: a rate must be restored
        return shape * (factor if phase == "higher" else 1.0)

    def warm_steps(self, budget: Budget) -> int:
        """Steps in which the rate rises."""
        return max(1, round(self.warmup_frac * budget.steps))

    def branch_steps(self, budget: Budget) -> int:
        """Steps of a trial's branch, and of a second look."""
        return round(self.branch_frac * budget.steps)

    def nearly_new(self, budget: Budget, step: int) -> bool:
        """Whether little can be learnt by heart up to a step."""
        epoch = budget.steps_per_epoch
        return epoch is None or step <= self.new_epochs * epoch
