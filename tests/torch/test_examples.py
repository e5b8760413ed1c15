"""The sample that validation reads: random, fixed, and in the batches that the user asked for."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler, TensorDataset

from lrpilot.integrations._examples import sample_loader

DATA = TensorDataset(torch.arange(100))


def by_sampler() -> DataLoader[tuple[torch.Tensor, ...]]:
    """As accelerate makes them: the loader itself has no batch size."""
    loader = DataLoader(DATA, batch_sampler=BatchSampler(SequentialSampler(DATA), 32, False))
    assert loader.batch_size is None
    return loader


@pytest.mark.parametrize("loader", [DataLoader(DATA, batch_size=32), by_sampler()])
def test_a_sample_comes_in_batches_of_the_loaders_size(
    loader: DataLoader[tuple[torch.Tensor, ...]],
) -> None:
    sizes = [len(batch[0]) for batch in sample_loader(loader, examples=80)]
    assert sizes == [32, 32, 16]


def test_a_sample_is_drawn_at_random_and_stays_the_same() -> None:
    sample = sample_loader(DataLoader(DATA, batch_size=10), examples=20)
    first, again = ([int(x) for batch in sample for x in batch[0]] for _ in range(2))
    assert first == again
    assert len(set(first)) == 20
    assert max(first) > 50  # not the first twenty


def test_a_stream_is_read_as_it_is() -> None:
    stream = [torch.zeros(2)] * 3
    assert sample_loader(stream, examples=1) is stream
