"""A byte-level GPT-2 of three layers, pretrained on the King James Bible, learns movie reviews.

Two tasks: all weights, and LoRA of rank 8 on the attention's projections. Loss in nats per byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from lrpilot.bench.task import Task, Workload
from lrpilot.bench.tasks import packages
from lrpilot.bench.tasks.ratings import rated_sentences
from lrpilot.facts import RunFacts

_BLOCK = 128  # bytes
_PARTS = (160, 400, 960)  # blocks to steer by, to be judged by and to train on
_RANK = 8
_BATCH = 8


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks of text as bytes, shape (n, block)."""

    ids: torch.Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, indices: torch.Tensor) -> torch.Tensor:
        return self.ids[indices]


def blocks(text: str) -> torch.Tensor:
    """The text in blocks of bytes, shape (n, block)."""
    raw = np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8)
    whole = raw[: len(raw) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    return torch.tensor(whole.astype(np.int64))


def gpt() -> nn.Module:
    """The network; 644,224 parameters."""
    transformers = packages.transformers()
    config = transformers.GPT2Config(
        vocab_size=256, n_positions=_BLOCK, n_embd=128, n_layer=3, n_head=4,
        bos_token_id=0, eos_token_id=0, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    model: nn.Module = transformers.GPT2LMHeadModel(config)
    return model


def token_losses(model: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Mean loss of each block, shape (n,), in nats per token."""
    logits = model(input_ids=ids).logits[:, :-1]
    each = functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    return each.mean(1)


@cache
def _reviews() -> tuple[Blocks, Blocks, Blocks]:
    sentences = [text for _, text in rated_sentences("movies")]
    order = np.random.default_rng(0).permutation(len(sentences))
    text = "\n".join(sentences[i] for i in order)
    validation, test, train = torch.split(blocks(text)[: sum(_PARTS)], list(_PARTS))
    return Blocks(train), Blocks(validation), Blocks(test)


def pretrained() -> nn.Module:
    """The network after about two passes over the Bible (`scripts/bench_pretrain.py`)."""
    model = gpt()
    model.load_state_dict(packages.shipped_weights("bytes-gpt"))
    return model


def _new_model(lora: bool) -> nn.Module:
    model = pretrained()
    if not lora:
        return model
    return packages.with_lora(model, ["c_attn"], rank=_RANK, fan_in_fan_out=True)


def _build(seed: int, *, lora: bool) -> Workload:
    train, validation, test = _reviews()
    return Workload(
        new_model=partial(_new_model, lora),
        losses=token_losses,
        train=train,
        validation=validation,
        test=test,
    )


def _task(name: str, title: str, steps: int, *, lora: bool) -> Task:
    return Task(
        name=name,
        title=f"a byte-level GPT-2, from the King James Bible to movie reviews, {title}",
        tier="fast",
        facts=RunFacts(
            model="bytes-decoder",
            architecture="decoder",
            pretraining="self-supervised",
            params=644_224,  # measured: sum of p.numel()
            method="lora" if lora else "full",
            lora_rank=_RANK if lora else None,
            task="text-generation",
            train_examples=_PARTS[2],
            batch_size=_BATCH,
            steps=steps,
        ),
        article_lr=2e-5,  # its row "GPT, text"
        steps=steps,
        batch_size=_BATCH,
        build=partial(_build, lora=lora),
    )


TASKS = (
    _task("bytes", "all weights", 120, lora=False),
    _task("bytes-lora", "LoRA of rank 8", 120, lora=True),
)
