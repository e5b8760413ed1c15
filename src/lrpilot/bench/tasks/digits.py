"""A small convolutional net, pretrained on the digits 0 to 4, learns 5 to 9: seconds a run.

The pictures are scikit-learn's (8 by 8 pixels; E. Alpaydin and C. Kaynak, 1998). Four tasks: all
the data there are, few examples, noisy labels, and SGD with momentum.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from lrpilot.bench.task import GRID, Task, Workload
from lrpilot.bench.tasks import packages
from lrpilot.facts import RunFacts

OLD, _NEW = range(5), range(5, 10)
_VALIDATION, _TEST = 150, 345  # standard error of an accuracy of .95: .018 and .012
_WRONG = 0.3
_SGD_GRID = (*GRID[2:], 3e-1, 1.0)  # measured: 1e-1 was the best and the edge of the other


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures of shape (n, 1, 8, 8) in [0, 1] and labels of shape (n,)."""

    x: torch.Tensor
    y: torch.Tensor

    def __len__(self) -> int:
        return len(self.y)

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.x[indices], self.y[indices]


def network(classes: int) -> nn.Sequential:
    """Three convolutions with batch norm, an average and a linear head; 23,845 parameters."""
    layers: list[nn.Module] = []
    for before, after, stride in ((1, 16, 1), (16, 32, 2), (32, 64, 2)):
        layers += [nn.Conv2d(before, after, 3, stride, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))


@cache
def load_digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of shape (1797, 1, 8, 8) in [0, 1] and the digits that they show."""
    found = packages.load("sklearn.datasets").load_digits()
    pictures = torch.tensor(found.images[:, None] / 16.0, dtype=torch.float32)
    return pictures, torch.tensor(found.target)


@cache
def pretrained() -> nn.Sequential:
    """The network after five passes over the digits 0 to 4 (`scripts/bench_pretrain.py`)."""
    with torch.random.fork_rng():  # a new head begins the same whether this is cached or not
        model = network(len(OLD))
    model.load_state_dict(packages.shipped_weights("digits-cnn"))
    return model


def _new_model() -> nn.Sequential:
    model = copy.deepcopy(pretrained())
    model[-1] = nn.Linear(64, len(_NEW))
    return model


def losses(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of each picture, shape (n,), in nats."""
    return functional.cross_entropy(model(batch[0]), batch[1], reduction="none")


def correct(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Whether the largest output is the label, shape (n,)."""
    right: torch.Tensor = model(batch[0]).argmax(1) == batch[1]
    return right


def _build(seed: int, *, keep: int | None = None, wrong: float = 0.0) -> Workload:
    x, y = load_digits()
    drawn = torch.Generator().manual_seed(1)  # the parts are the same for every seed
    new = torch.where(y >= _NEW.start)[0]
    new = new[torch.randperm(len(new), generator=drawn)]
    sizes = [_VALIDATION, _TEST, len(new) - _VALIDATION - _TEST]
    validation, test, train = torch.split(new, sizes)
    train = train[:keep]
    labels = y - _NEW.start
    changed = torch.rand(len(y), generator=drawn) < wrong  # in the test part too: one distribution
    labels[changed] = torch.randint(len(_NEW), (len(y),), generator=drawn)[changed]
    return Workload(
        new_model=_new_model,
        losses=losses,
        correct=correct,
        train=Pictures(x[train], labels[train]),
        validation=Pictures(x[validation], labels[validation]),
        test=Pictures(x[test], labels[test]),
    )


def _task(name: str, title: str, examples: int, steps: int, **options: Any) -> Task:
    optimizer = options.pop("optimizer", "adamw")
    return Task(
        name=name,
        title=f"a small CNN, from the digits 0 to 4 to 5 to 9, {title}",
        tier="fast",
        facts=RunFacts(
            model="digits-cnn",
            architecture="cnn",
            pretraining="supervised",
            params=23_845,  # measured: sum of p.numel()
            task="image-classification",
            classes=5,
            train_examples=examples,
            batch_size=16,
            steps=steps,
            optimizer=optimizer,
        ),
        article_lr=5e-5,  # its row "ResNet, image"
        steps=steps,
        batch_size=16,
        optimizer=optimizer,
        build=partial(_build, **options),
        rates=GRID if optimizer == "adamw" else _SGD_GRID,
    )


TASKS = (
    _task("digits", "401 examples", 401, 100),
    _task("digits-few", "60 examples", 60, 60, keep=60),
    _task("digits-noisy", "three labels in ten redrawn", 401, 300, wrong=_WRONG),
    _task("digits-sgd", "SGD with momentum", 401, 100, optimizer="sgd"),
)
