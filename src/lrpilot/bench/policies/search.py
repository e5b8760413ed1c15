"""Optuna's default sampler over the peak, ten whole runs: what most people who search do."""

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
        trials: Whole runs.
    """

    trials: int = 10

    @property
    def name(self) -> str:
        """As the results call it."""
        return f"optuna-{self.trials}"

    def run(self, lab: Lab) -> Result:
        """So many runs, each validated once at its end."""
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
            try:
                training.constant(peak_lr)
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


POLICIES = (Search(),)
