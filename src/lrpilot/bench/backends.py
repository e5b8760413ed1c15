"""Where cells are computed: in this process, in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from lrpilot.errors import InputError

Work = TypeVar("Work")
Done = TypeVar("Done")
BACKENDS = ("local", "ray")


def default_backend() -> str:
    """`ray` where the environment names a cluster (RAY_ADDRESS), else `local`."""
    return "ray" if os.environ.get("RAY_ADDRESS") else "local"


def compute_all(
    function: Callable[[Work], Done], todo: Sequence[Work], backend: str, workers: int | None
) -> Iterator[Done]:
    """Apply a function to every item; results come as they are ready.

    Args:
        function: Importable where the work is done.
        todo: The items.
        backend: One of `BACKENDS`.
        workers: Items at once. None is 1 here, and what the cluster has room for under Ray.

    Raises:
        InputError: Ray is wanted, and not installed, or no cluster answers.
    """
    if backend == "ray":
        yield from _ray(function, todo, workers or len(todo))
    elif (workers or 1) == 1:
        yield from map(function, todo)
    else:
        yield from _processes(function, todo, workers or 1)


def _processes(
    function: Callable[[Work], Done], todo: Sequence[Work], workers: int
) -> Iterator[Done]:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        try:
            for future in as_completed([pool.submit(function, item) for item in todo]):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _ray(function: Callable[[Work], Done], todo: Sequence[Work], workers: int) -> Iterator[Done]:
    """One processor core an item; Ray repeats an item whose machine went away."""
    ray = _cluster()
    remote = ray.remote(num_cpus=1)(function)
    left = iter(todo)
    running = {remote.remote(item) for item in islice(left, workers)}
    try:
        while running:
            (ready,), _ = ray.wait(list(running), num_returns=1)
            running.remove(ready)
            yield ray.get(ready)
            running |= {remote.remote(item) for item in islice(left, 1)}
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _cluster() -> Any:
    try:
        import ray
    except ImportError:
        raise InputError('Ray is not installed: pip install "lrpilot[ray]"') from None
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS", "auto")
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise InputError(
                f"no Ray cluster answers ({str(error).splitlines()[0]}): start one with"
                " `ray start --head`, name one in RAY_ADDRESS (with RAY_AUTH_MODE=token if it asks"
                " for a token), or take --backend local"
            ) from None
    return ray
