"""The demos: what is parsed out of the packages, and that the rebuilt models are the shipped ones.

The tests marked slow download the real packages.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrpilot.errors import InputError
from lrpilot.tune.assets import fetch_package
from lrpilot.tune.demo_image import figure, split_emoji
from lrpilot.tune.demo_sentiment import parse_reviews
from lrpilot.tune.demo_text import draw_paragraphs, read_paragraphs
from lrpilot.tune.demos import DEMOS, find_demo
from lrpilot.tune.images import ImageFolder

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def test_reviews_without_a_clear_sign_are_left_out() -> None:
    table = parse_reviews("1\t2.5\tfine film \r\n2\t-0.5\tso so\r\n3\t-0.51\tdull\tslow\r\n\n")
    assert table.texts == ["fine film", "dull\tslow"]
    assert table.labels.tolist() == [1, 0]
    assert table.label_names == ("negative", "positive")


def test_paragraphs_are_read_as_text_without_brackets_or_repetitions() -> None:
    source = 'import x\nb = B("""\nLight [was] good. \nDay.\n\nDay.\n""", {})\nc = """no"""\n'
    assert read_paragraphs(source) == ["Light was good.", "Day."]


def test_no_paragraph_is_on_two_sides() -> None:
    parts = draw_paragraphs([f"{i:05} " + "word " * 20 for i in range(5000)])
    assert parts.test is not None
    sides = [set(p.text.split("\n")) for p in (parts.train, parts.validation, parts.test)]
    assert sum(map(len, sides)) == len(set.union(*sides))
    assert [round(len(p) / 1000) for p in (parts.validation, parts.test, parts.train)] == [
        17, 33, 257,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1F468-200D-2695-FE0F", "1F469-200D-2695-FE0F"),  # man, woman health worker
        ("1F3C3-200D-2640-FE0F", "1F3C3"),  # woman running, person running
        ("1F9D4-200D-2642-FE0F", "1F9D4"),  # man: beard, person: beard
    ],
)
def test_forms_of_one_figure_are_one(one: str, other: str) -> None:
    assert figure(one) == figure(other)


def test_other_figures_differ() -> None:
    codes = ["1F600", "1F468-200D-2695-FE0F", "1F468-200D-2696-FE0F", "1F1E9-1F1EA", "2640-FE0F"]
    assert len({figure(code) for code in codes}) == len(codes)


def test_emoji_parts_keep_figures_together() -> None:
    codes = [f"{base:X}{sex}" for base in range(0x1F600, 0x1F600 + 600)
             for sex in ("", "-200D-2640-FE0F", "-200D-2642-FE0F")]  # fmt: skip
    paths = tuple(Path(f"{code}.png") for code in codes)
    parts = split_emoji(ImageFolder(paths, np.arange(1800) // 3 % 2, ("a", "b")))
    assert parts.test is not None
    sides = [{figure(p.stem) for p in part.paths}
             for part in (parts.train, parts.validation, parts.test)]  # fmt: skip
    assert sum(map(len, sides)) == len(set.union(*sides)) == 600


def test_demos_are_the_three_rows_of_the_table() -> None:
    assert {d.name: d.task for d in DEMOS.values()} == {
        "sentiment": "text-classification",
        "image": "image-classification",
        "text": "text-generation",
    }
    assert find_demo("image") is DEMOS["image"]
    with pytest.raises(InputError, match="no demo 'audio': give sentiment, image, text"):
        find_demo("audio")


def random_folded() -> dict[str, tuple[Any, Any]]:
    """Kernels and biases of the right shapes, scaled so that signals neither die nor explode."""
    from lrpilot.tune import resnet_thin

    rng = np.random.default_rng(0)
    shapes = {"1": (64, 3, 7, 7), "fc": (2, 1024)}
    width_in = 64
    for stage, (depth, width) in enumerate(
        zip(resnet_thin.DEPTHS, resnet_thin.WIDTHS, strict=True)
    ):
        for block in range(depth):
            name, narrow = f"stage{stage}_block{block}_", width // 4
            if block == 0:
                shapes[name + "proj_shortcut"] = (width, width_in, 1, 1)
            shapes[name + "branch2a"] = (narrow, width_in, 1, 1)
            shapes[name + "branch2b"] = (narrow, narrow, 3, 3)
            shapes[name + "branch2c"] = (width, narrow, 1, 1)
            width_in = width
    return {
        name: (
            (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32),
            (0.1 * rng.standard_normal(shape[0])).astype(np.float32),
        )
        for name, shape in shapes.items()
    }


def test_batch_norm_is_restored_at_no_change_in_function() -> None:
    from lrpilot.tune import resnet_thin

    images = torch.randn(24, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 60
    folded = resnet_thin.build_resnet(random_folded())
    restored = copy.deepcopy(folded)
    resnet_thin.restore_batch_norm(restored, images, batch_size=7)
    with torch.no_grad():
        before, after = folded(images).logits, restored(images).logits
        stem = restored.resnet.embedder.embedder
        outputs = stem.convolution(images)
    assert torch.allclose(before, after, rtol=1e-4, atol=1e-5 * float(before.abs().max()))
    mean, variance = outputs.mean((0, 2, 3)), outputs.var((0, 2, 3), unbiased=False)
    torch.testing.assert_close(stem.normalization.running_mean, mean, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(stem.normalization.running_var, variance, rtol=1e-3, atol=1e-3)


def test_saved_backbone_loads_with_a_new_head(tmp_path: Path) -> None:
    from lrpilot.tune import resnet_thin

    model = resnet_thin.build_resnet(random_folded())
    resnet_thin.save_backbone(model, tmp_path, image_size=64)
    loaded = transformers.AutoModelForImageClassification.from_pretrained(tmp_path, num_labels=9)
    assert loaded.classifier[-1].weight.shape == (9, 1024)
    for name, value in model.resnet.state_dict().items():
        assert torch.equal(value, loaded.resnet.state_dict()[name]), name
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    white = np.full((3, 32, 32), 255, dtype=np.uint8)
    pixels = processor(images=white, return_tensors="pt")["pixel_values"]
    expected = torch.tensor([255 - 123, 255 - 117, 255 - 104], dtype=torch.float32)
    torch.testing.assert_close(pixels[0, :, 5, 5], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.slow
def test_the_rebuilt_resnet_computes_what_the_shipped_file_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Against onnx's reference evaluator, with the shipped padding of the max-pool put in."""
    onnx = pytest.importorskip("onnx")
    reference = pytest.importorskip("onnx.reference")
    from lrpilot.tune import demo_image, resnet_thin

    path = fetch_package(demo_image.MODEL) / "open-nsfw.onnx"
    image = np.random.default_rng(0).uniform(-100, 100, (1, 224, 224, 3)).astype(np.float32)
    (expected,) = reference.ReferenceEvaluator(onnx.load(str(path))).run(None, {"input:0": image})
    model = resnet_thin.build_resnet(resnet_thin.read_folded(path))

    class ShippedPool(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.nn.functional.max_pool2d(torch.nn.functional.pad(x, (0, 1, 0, 1)), 3, 2)

    model.resnet.embedder.pooler = ShippedPool()
    rgb = torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(0, 3, 1, 2)))
    with torch.no_grad():
        got = model(rgb).logits.log_softmax(1)
    torch.testing.assert_close(got, torch.from_numpy(np.log(expected)), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(DEMOS))
def test_a_demo_brings_a_model_and_three_parts(name: str) -> None:
    demo = find_demo(name)
    said: list[str] = []
    parts, folder = demo.data(said.append), demo.model(said.append)
    assert parts.test is not None
    assert demo.data(None).train.__class__ is parts.train.__class__
    auto = {
        "text-classification": transformers.AutoModelForSequenceClassification,
        "image-classification": transformers.AutoModelForImageClassification,
        "text-generation": transformers.AutoModelForCausalLM,
    }[demo.task]
    names = getattr(parts.train, "label_names", ())
    model = auto.from_pretrained(folder, **({"num_labels": len(names)} if names else {}))
    assert sum(p.numel() for p in model.parameters()) == demo.params
    fresh = len(said)
    demo.data(said.append)
    demo.model(said.append)
    assert len(said) == fresh  # nothing is fetched or built twice


@pytest.mark.slow
def test_a_cached_demo_keeps_its_licence_texts() -> None:
    from lrpilot.tune import demo_image, demo_sentiment, demo_text

    for package in (demo_sentiment.MODEL, demo_image.MODEL, demo_image.PICTURES, demo_text.MODEL):
        assert (fetch_package(package) / "LICENSE").stat().st_size > 500
