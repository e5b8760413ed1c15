"""From named series to a `History`: which is which, and what is said about the rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from lrpilot.diagnose.history import History, Mode, Plan, Series
from lrpilot.diagnose.readers.collect import Collector
from lrpilot.diagnose.readers.epochs import passes
from lrpilot.diagnose.readers.names import (
    SCORES,
    Kind,
    is_clock,
    is_named_eval_loss,
    is_test,
    is_train_score,
    kind_of,
    plain,
    score_of,
)
from lrpilot.errors import InputError

_MOST_NAMED = 6  # names that one sentence lists


def assemble(
    where: str, format: str, collected: Collector, *, plan: Plan | None = None,
    unread: tuple[str, ...] = (), no_losses: Collection[str] = (), **rest: Any,
) -> History:  # fmt: skip
    """A history out of what was collected.

    Args:
        where: The path, as the user gave it.
        format: What wrote it.
        collected: Every series by the name that the log gives it.
        plan: Settings.
        unread: What the reader left out.
        no_losses: Names of series that look like losses and are none.
        **rest: Further fields of `History`.

    Raises:
        InputError: No value at all.
    """
    plan = plan or Plan()
    said = [*unread, *collected.remarks()]
    series, resumes = collected.settle()
    if not series:
        raise InputError(f"{where} holds no metric: give a log with values by step")
    taken = _choose(series, no_losses)
    score_name, mode = _score(series, taken, plan)
    said += _sentences(series, taken, score_name)
    chosen: dict[str, Any] = {kind: series[name] for kind, name in taken.items() if kind != "score"}
    if "epoch" in chosen:
        chosen["epoch"] = passes(chosen["epoch"])
    leading = taken.get("train_loss") or taken.get("lr") or taken.get("eval_loss")
    used = {*(name for kind, name in taken.items() if kind != "score"), score_name}
    others = {n: s for n, s in series.items() if n not in used}
    rest.setdefault("resumes", resumes[leading] if leading else ())
    history = History(
        where=where, format=format, plan=plan, unread=tuple(said),
        others=MappingProxyType(others), **chosen, **rest,
    )  # fmt: skip
    if score_name is None:
        return history
    return replace(
        history, score=series[score_name], score_name=score_name, score_mode=mode or "max"
    )


def _choose(series: Mapping[str, Series], no_losses: Collection[str]) -> dict[Kind, str]:
    """The preferred name of each kind."""
    best: dict[Kind, tuple[int, str]] = {}
    for name in series:
        found = None if name in no_losses else kind_of(name)
        if found is not None:
            kind, rank = found
            best[kind] = min(best.get(kind, (10**6, name)), (rank, name))
    named = [name for name in series if is_named_eval_loss(name)]
    if "eval_loss" not in best and named:
        best["eval_loss"] = (0, named[0])
    return {kind: name for kind, (_, name) in best.items()}


def _score(
    series: Mapping[str, Series], taken: Mapping[Kind, str], plan: Plan
) -> tuple[str | None, Mode | None]:
    """The main score: the one that the best checkpoint is chosen by, else the best known one."""
    if plan.metric is not None and plan.metric_mode is not None:
        wanted = {plain(plan.metric), plain(f"eval_{plan.metric}"), plain(f"val_{plan.metric}")}
        for name in series:
            if plain(name) in wanted and name not in taken.values():
                return name, plan.metric_mode
    name = taken.get("score")  # type: ignore[assignment]
    if name is None:
        return None, None
    known = score_of(plain(name))
    return name, SCORES[known] if known else None


def _sentences(
    series: Mapping[str, Series], taken: Mapping[Kind, str], score_name: str | None
) -> list[str]:
    """What the user should know about the names."""
    said = []
    used = {*taken.values(), score_name}
    rates = [n for n in series if (k := kind_of(n)) and k[0] == "lr" and n not in used]
    if rates:
        said.append(
            f"Of several learning rates {taken['lr']!r} is judged, the first;"
            f" set aside: {_list(rates)}."
        )
    tests = [n for n in (taken.get("eval_loss"), score_name) if n and is_test(n)]
    if tests:
        said.append(f"{_list(tests)} is taken for validation, for there is no other.")
    evals = [n for n in series if is_named_eval_loss(n) and n not in used]
    if evals:
        said.append(
            f"Of several validation sets {taken.get('eval_loss')!r} is judged;"
            f" set aside: {_list(evals)}."
        )
    unknown = [
        n for n in series
        if n not in used and kind_of(n) is None and n not in evals
        and not is_clock(n) and not is_train_score(n)
    ]  # fmt: skip
    if unknown:
        said.append(f"Not judged, for whether up or down is better is not known: {_list(unknown)}.")
    return said


def _list(names: list[str]) -> str:
    shown = ", ".join(repr(n[:60]) for n in names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown
