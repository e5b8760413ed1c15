"""SmolLM2-135M, a GPT-type decoder, learns the King James Bible: all weights, and LoRA.

Loss in nats per token.
"""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import nn

from lrpilot.bench.task import GRID, Task, Workload
from lrpilot.bench.tasks import packages
from lrpilot.bench.tasks.bytes_gpt import Blocks, token_losses
from lrpilot.facts import RunFacts
from lrpilot.tune import demo_text

_BLOCK = 64  # tokens
_PARTS = (96, 48, 64)  # blocks to train on, to steer by and to be judged by
_BATCH, _STEPS = 4, 24
_RANK = 8
_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_PARAMS = 134_515_008  # measured: sum of p.numel()


@cache
def _parts() -> tuple[Blocks, Blocks, Blocks]:
    tokenizer = packages.transformers().AutoTokenizer.from_pretrained(demo_text.model_folder())
    corpora = demo_text.load()
    assert corpora.test is not None

    def blocks(text: str, wanted: int) -> Blocks:
        tokens = torch.tensor(tokenizer(text, verbose=False)["input_ids"][: wanted * _BLOCK])
        return Blocks(tokens.view(wanted, _BLOCK))

    texts = (corpora.train.text, corpora.validation.text, corpora.test.text)
    train, validation, test = (blocks(t, n) for t, n in zip(texts, _PARTS, strict=True))
    return train, validation, test


def _new_model(lora: bool) -> nn.Module:
    model: nn.Module = packages.transformers().AutoModelForCausalLM.from_pretrained(
        demo_text.model_folder(), dtype=torch.float32
    )
    if not lora:
        return model
    return packages.with_lora(model, _TARGETS, rank=_RANK)


def _build(seed: int, *, lora: bool) -> Workload:
    train, validation, test = _parts()
    return Workload(
        new_model=partial(_new_model, lora),
        losses=token_losses,
        train=train,
        validation=validation,
        test=test,
    )


def _task(name: str, title: str, *, lora: bool) -> Task:
    return Task(
        name=name,
        title=f"SmolLM2-135M-Instruct (a GPT) on the King James Bible, {title}",
        tier="real",
        facts=RunFacts(
            model="SmolLM2-135M-Instruct",
            architecture="decoder",
            pretraining="instruction-tuned",
            params=_PARAMS,
            method="lora" if lora else "full",
            lora_rank=_RANK if lora else None,
            task="text-generation",
            train_examples=_PARTS[0],
            batch_size=_BATCH,
            steps=_STEPS,
        ),
        article_lr=2e-5,  # its row "GPT, text"
        steps=_STEPS,
        batch_size=_BATCH,
        build=partial(_build, lora=lora),
        rates=GRID[4:10] if lora else GRID[2:8],  # around what short runs of such models want
    )


TASKS = (
    _task("smollm", "all weights", lora=False),
    _task("smollm-lora", "LoRA of rank 8", lora=True),
)
