"""A folder of images, one subfolder a class, as arrays of one size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrpilot.errors import InputError, MissingExtraError
from lrpilot.tune.splits import Parts, check_size, split_indices, validation_size

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


@dataclass(frozen=True, slots=True, eq=False)
class ImageFolder:
    """Image files with their classes.

    Attributes:
        paths: One file an example.
        labels: Class of each, int64, shape (examples,).
        label_names: Name of each class (its folder), in the order of their numbers.
    """

    paths: tuple[Path, ...]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: Iterable[int]) -> ImageFolder:
        """The examples at `indices`, in that order, with the same classes."""
        rows = [int(i) for i in indices]
        return ImageFolder(tuple(self.paths[i] for i in rows), self.labels[rows], self.label_names)


def load_image_folder(path: Path | str, *, label_names: Sequence[str] | None = None) -> ImageFolder:
    """Find the images of `path/CLASS/...`; they are opened later, by `read_images`.

    Args:
        path: The folder.
        label_names: Classes already known (from the training folder); None to find them here.

    Raises:
        InputError: No such folder, no subfolders, no images in them, or an unknown class.
    """
    path = Path(path)
    if not path.is_dir():
        problem = "is not a folder" if path.exists() else "does not exist"
        raise InputError(f"{path} {problem}: give a folder with one subfolder of images a class")
    found = {d.name: _images_in(d) for d in sorted(path.iterdir()) if _is_class(d)}
    if not found:
        raise InputError(f"{path} has no subfolders: put the images of each class into one of its")
    empty = [name for name, files in found.items() if not files]
    if empty:
        raise InputError(
            f"{path / empty[0]} holds no image: give {', '.join(IMAGE_SUFFIXES)}, or remove it"
        )
    names = tuple(label_names) if label_names is not None else tuple(found)
    unknown = [name for name in found if name not in names]
    if unknown:
        raise InputError(
            f"{path}: class {unknown[0]!r} does not occur in the training data: "
            f"it has {', '.join(map(repr, names[:8]))}"
        )
    paths = tuple(file for files in found.values() for file in files)
    labels = [names.index(name) for name, files in found.items() for _ in files]
    return ImageFolder(paths, np.array(labels, dtype=np.int64), names)


def split_images(
    images: ImageFolder, *, seed: int, what: str, validation: int | None = None, test: int = 0
) -> Parts[ImageFolder]:
    """Hold out validation (and test) images: stratified, seeded, equal files on one side.

    Args:
        images: All the examples.
        seed: Seed of the draw.
        what: The data in words, for messages.
        validation: Number of validation images; a fifth, at most 2,000, when left out.
        test: Number of test images.

    Raises:
        InputError: Too few images, in all or of a class.
    """
    import hashlib

    check_size(images.labels, images.label_names, what=what)
    held = validation_size(len(images)) if validation is None else validation
    keys = [hashlib.sha256(path.read_bytes()).digest() for path in images.paths]
    parts = split_indices(images.labels, sizes=(held, test), seed=seed, groups=keys)
    if min(len(parts[0]), len(parts[2])) == 0:
        raise InputError(f"{what}: too many equal images to hold any out: give a validation folder")
    return Parts(
        train=images.take(parts[2]),
        validation=images.take(parts[0]),
        test=images.take(parts[1]) if test else None,
    )


def open_image(path: Path) -> Any:
    """One file as a Pillow image in RGB, its transparent parts on white.

    Raises:
        InputError: It is no readable image; the message names it.
    """
    pillow = _pillow()
    try:
        with pillow.open(path) as image:
            rgba = image.convert("RGBA")
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
        raise InputError(
            f"{path} cannot be read as an image ({type(error).__name__}): replace or remove it"
        ) from None
    return pillow.alpha_composite(pillow.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def read_images(paths: Iterable[Path], *, size: int) -> NDArray[np.uint8]:
    """Decode images to RGB of one size.

    Args:
        paths: The files.
        size: Pixels a side; an image of another shape is squeezed to a square.

    Returns:
        Array of shape (images, 3, size, size), 0 to 255.

    Raises:
        InputError: A file that is no readable image; the message names it.
    """
    bilinear = _pillow().Resampling.BILINEAR
    images = (open_image(path).resize((size, size), bilinear) for path in paths)
    return np.stack([np.asarray(image).transpose(2, 0, 1) for image in images])


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("reading images needs Pillow: pip install 'lrpilot[hf]'") from None
    return Image


def _is_class(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _images_in(folder: Path) -> list[Path]:
    return sorted(
        p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in IMAGE_SUFFIXES
    )
