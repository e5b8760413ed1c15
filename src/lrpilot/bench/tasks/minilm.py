"""MiniLM-L6, a BERT of six layers, on sentences: sentiment, topic, regression, few examples, LoRA.

Loss in nats, of the regression in squared points of the rating.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from lrpilot.bench.task import GRID, Task, Workload
from lrpilot.bench.tasks import packages
from lrpilot.bench.tasks.ratings import KINDS, rated_sentences
from lrpilot.facts import RunFacts
from lrpilot.tune import demo_sentiment

_LENGTH = 40  # tokens; the sentences have 14 to 19 words on average
_RANK = 8
_BATCH = 16
_RATES = GRID[2:9]  # 1e-5 to 1e-2: a run takes a minute, so the grid is shorter
_LORA_RATES = GRID[4:]  # 1e-4 to 1e-1


@dataclass(frozen=True, slots=True)
class Texts:
    """Tokens, shape (n, length), padded with zeros, and targets, shape (n,)."""

    tokens: torch.Tensor
    targets: torch.Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = self.tokens[indices]
        longest = int((chosen != 0).sum(1).max())
        return chosen[:, :longest], self.targets[indices]


@cache
def _tokenizer() -> Any:
    return packages.transformers().AutoTokenizer.from_pretrained(demo_sentiment.model_folder())


def _encode(sentences: Sequence[str]) -> torch.Tensor:
    found = _tokenizer()(list(sentences), truncation=True, max_length=_LENGTH, padding=True)
    return torch.tensor(found["input_ids"])


@cache
def _parts(name: str, sizes: tuple[int, int, int]) -> tuple[Texts, Texts, Texts]:
    """Training, validation and test part; no sentence is in two of them."""
    rows = {text: target for text, target in _rows(name) if text}
    texts, targets = list(rows), np.array(list(rows.values()))
    order = np.random.default_rng(0).permutation(len(texts))[: sum(sizes)]
    ends = np.cumsum(sizes)[:-1]
    train, validation, test = (
        Texts(_encode([texts[i] for i in part]), torch.tensor(targets[part]))
        for part in np.split(order, ends)
    )
    return train, validation, test


def _rows(name: str) -> list[tuple[str, Any]]:
    if name == "topics":
        return [(text, KINDS.index(kind)) for kind in KINDS for _, text in rated_sentences(kind)]
    if name == "rating":
        return [(text, np.float32(rating)) for rating, text in rated_sentences("tweets")]
    return [
        (text, int(rating > 0))
        for rating, text in rated_sentences(name)
        if abs(rating) > demo_sentiment.MIN_RATING
    ]


def _new_model(outputs: int, lora: bool) -> nn.Module:
    model: nn.Module = packages.transformers().AutoModelForSequenceClassification.from_pretrained(
        demo_sentiment.model_folder(), num_labels=outputs
    )
    if not lora:
        return model
    return packages.with_lora(model, ["query", "value"], rank=_RANK, task_type="SEQ_CLS")


def _outputs(model: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = model(input_ids=tokens, attention_mask=(tokens != 0).long()).logits
    return logits


def _losses(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return functional.cross_entropy(_outputs(model, batch[0]), batch[1], reduction="none")


def _correct(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    right: torch.Tensor = _outputs(model, batch[0]).argmax(1) == batch[1]
    return right


def _squared_errors(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return (_outputs(model, batch[0])[:, 0] - batch[1]) ** 2


def _build(seed: int, *, data: str, sizes: tuple[int, int, int], lora: bool) -> Workload:
    train, validation, test = _parts(data, sizes)
    regression = data == "rating"
    outputs = 1 if regression else int(train.targets.max()) + 1
    return Workload(
        new_model=partial(_new_model, outputs, lora),
        losses=_squared_errors if regression else _losses,
        correct=None if regression else _correct,
        train=train,
        validation=validation,
        test=test,
    )


def _task(
    name: str, title: str, data: str, sizes: tuple[int, int, int], steps: int, *,
    lora: bool = False,
) -> Task:  # fmt: skip
    regression = data == "rating"
    return Task(
        name=f"minilm-{name}",
        title=f"MiniLM-L6 (a BERT) on {title}",
        tier="real",
        facts=RunFacts(
            model="all-MiniLM-L6-v2",
            architecture="encoder",
            params=22_713_986,  # measured: sum of p.numel() with two classes
            method="lora" if lora else "full",
            lora_rank=_RANK if lora else None,
            task="text-regression" if regression else "text-classification",
            classes=None if regression else len(KINDS) if data == "topics" else 2,
            train_examples=sizes[0],
            batch_size=_BATCH,
            steps=steps,
        ),
        article_lr=2e-5,  # its row "BERT, sentiment"
        steps=steps,
        batch_size=_BATCH,
        unit="squared points" if regression else "nats",
        build=partial(_build, data=data, sizes=sizes, lora=lora),
        rates=_LORA_RATES if lora else _RATES,
    )


TASKS = (
    _task("reviews", "2,400 movie reviews, good or bad", "movies", (2400, 300, 1000), 150),
    _task("few", "100 product reviews, good or bad", "products", (100, 100, 800), 40),
    _task("topics", "800 sentences of four sources", "topics", (800, 200, 800), 60),
    _task("rating", "640 tweets with a rating", "rating", (640, 200, 800), 60),
    _task("lora", "640 tweets, good or bad, LoRA of rank 8", "tweets", (640, 200, 800), 60,
          lora=True),
)  # fmt: skip
