"""Folders of images by class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lrpilot.errors import InputError
from lrpilot.tune.images import load_image_folder, read_images, split_images

Image = pytest.importorskip("PIL.Image")


def paint(path: Path, color: tuple[int, ...], size: tuple[int, int] = (8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA" if len(color) == 4 else "RGB", size, color).save(path)
    return path


def two_classes(folder: Path, each: int) -> Path:
    for i in range(each):
        paint(folder / "cat" / f"{i:02}.png", (i, 0, 0))
        paint(folder / "dog" / f"{i:02}.png", (0, i, 0))
    return folder


def test_classes_are_the_subfolders_in_name_order(tmp_path: Path) -> None:
    paint(tmp_path / "dog" / "b.png", (0, 0, 0))
    paint(tmp_path / "cat" / "deep" / "a.JPG", (0, 0, 0))
    paint(tmp_path / ".hidden" / "x.png", (0, 0, 0))
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    images = load_image_folder(tmp_path)
    assert images.label_names == ("cat", "dog")
    assert [p.name for p in images.paths] == ["a.JPG", "b.png"]
    assert images.labels.tolist() == [0, 1]
    known = load_image_folder(tmp_path, label_names=("ape", "cat", "dog"))
    assert known.labels.tolist() == [1, 2]


def test_pixels_are_rgb_of_one_size_and_transparency_is_white(tmp_path: Path) -> None:
    paths = [
        paint(tmp_path / "red.png", (255, 0, 0), (8, 4)),
        paint(tmp_path / "clear.png", (0, 0, 0, 0)),
    ]
    pixels = read_images(paths, size=6)
    assert pixels.shape == (2, 3, 6, 6)
    assert pixels.dtype == np.uint8
    assert pixels[0].reshape(3, -1).max(axis=1).tolist() == [255, 0, 0]
    assert pixels[1].min() == 255


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    with pytest.raises(InputError, match=r"torn\.png cannot be read as an image"):
        read_images([tmp_path / "torn.png"], size=8)


def test_folders_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_image_folder(tmp_path / "none")
    with pytest.raises(InputError, match="is not a folder"):
        load_image_folder(paint(tmp_path / "one.png", (0, 0, 0)))
    with pytest.raises(InputError, match="has no subfolders"):
        load_image_folder(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no image"):
        load_image_folder(tmp_path)
    paint(tmp_path / "empty" / "a.png", (0, 0, 0))
    with pytest.raises(InputError, match="'empty' does not occur in the training data"):
        load_image_folder(tmp_path, label_names=("cat",))


def test_copies_of_a_picture_stay_on_one_side(tmp_path: Path) -> None:
    folder = two_classes(tmp_path, 20)
    for file in sorted(folder.rglob("*.png")):
        file.with_name(f"copy-{file.name}").write_bytes(file.read_bytes())
    parts = split_images(load_image_folder(folder), seed=1, what="pets", validation=16, test=8)
    assert parts.test is not None
    sides = [{p.read_bytes() for p in part.paths}
             for part in (parts.train, parts.validation, parts.test)]  # fmt: skip
    # 0.png is black in both classes, so 39 different pictures in all.
    assert len(set.union(*sides)) == sum(map(len, sides)) == 39


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    images = load_image_folder(two_classes(tmp_path, 4))
    with pytest.raises(InputError, match="pets holds 8 examples: give at least 16"):
        split_images(images, seed=0, what="pets")
