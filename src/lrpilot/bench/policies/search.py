"""Optuna's default sampler over the peak, ten runs: what most people who search do."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from typing import Any

from lrpilot.bench.lab import DivergedError, Lab, Result
from lrpilot.errors import MissingExtraError


@dataclass(frozen=True, slots=True)
class Search:
    """Log-uniform peaks between the grid's ends; the best by validation is handed back.

    Attributes:
        name: As the results call it.
        trials: Runs that are begun.
        reports: Validations during a run, after which Optuna's default pruner may end it.
    """

    name: str
    trials: int = 10
    reports: int = 0

    def run(self, lab: Lab) -> Result:
        """So many runs, each validated at its end."""
        try:
            optuna: Any = importlib.import_module("optuna")
        except ImportError:
            raise MissingExtraError(
                "this policy needs Optuna: pip install 'lrpilot[bench]'"
            ) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        best: list[Any] = [math.inf, None]

        def objective(trial: Any) -> float:
            peak_lr = trial.suggest_float("lr", min(lab.task.rates), max(lab.task.rates), log=True)
            training = lab.start()
            steps = lab.task.steps
            every = max(1, steps // (self.reports + 1))

            def watch(step: int) -> None:
                if self.reports and step % every == 0 and step < steps:
                    trial.report(float(training.validate().mean()), step)
                    if trial.should_prune():
                        raise optuna.TrialPruned

            try:
                training.constant(peak_lr, after=watch)
            except DivergedError:
                raise optuna.TrialPruned from None
            value = float(training.validate().mean())
            if value < best[0]:
                best[:] = [value, Result(model=training.model, peak_lr=peak_lr)]
            return value

        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=lab.seed))
        study.optimize(objective, n_trials=self.trials)
        if best[1] is None:
            raise DivergedError
        result: Result = best[1]
        return result


POLICIES = (Search("optuna-10"), Search("optuna-10-pruned", reports=4))
