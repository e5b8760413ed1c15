"""Twenty questions that a user would ask `recommend`, with its answers.

    python scripts/recommend_questions.py [--table FILE.csv] [--no-write]

Writes docs/recommend-questions.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lrpilot.facts import Recommendation, RunFacts
from lrpilot.recommend import recommend
from lrpilot.recommend.table import DEFAULT_TABLE

DOC = Path(__file__).parents[1] / "docs" / "recommend-questions.md"

QUESTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("BERT on sentiment, nothing else known",
     {"model": "bert", "task": "sentiment"}),
    ("bert-base-uncased, sentiment, 25,000 reviews, three epochs of 32",
     {"model": "bert-base-uncased", "task": "sentiment", "train_examples": 25000,
      "batch_size": 32, "epochs": 3}),
    ("RoBERTa-large, natural language inference",
     {"model": "roberta-large", "task": "nli", "batch_size": 32}),
    ("MiniLM (23 million parameters), 1,000 sentences, 62 steps",
     {"model": "all-MiniLM-L6-v2", "task": "sentiment", "train_examples": 1000,
      "batch_size": 16, "steps": 62}),
    ("ViT-base trained on labels, 800 images of one's own",
     {"model": "google/vit-base-patch16-224-in21k", "task": "image-classification",
      "train_examples": 800, "batch_size": 32, "epochs": 10}),
    ("ViT-large from a masked autoencoder, ImageNet",
     {"model": "facebook/vit-mae-large", "task": "image-classification", "batch_size": 1024}),
    ("ResNet-50 with SGD, images",
     {"model": "microsoft/resnet-50", "task": "image-classification", "optimizer": "sgd",
      "batch_size": 128}),
    ("ResNet-50 with AdamW, images",
     {"model": "microsoft/resnet-50", "task": "image-classification", "batch_size": 64}),
    ("Whisper-small, speech recognition in a rare language",
     {"model": "openai/whisper-small", "task": "asr", "batch_size": 16, "distance": "far"}),
    ("wav2vec 2.0 base, speech recognition",
     {"model": "facebook/wav2vec2-base", "task": "asr-ctc"}),
    ("Llama 3.1 8B, QLoRA of rank 16, chat",
     {"model": "meta-llama/Llama-3.1-8B", "method": "qlora", "lora_rank": 16, "task": "chat",
      "batch_size": 16, "train_examples": 10000, "epochs": 3}),
    ("Llama 3.1 8B, all weights, chat",
     {"model": "meta-llama/Llama-3.1-8B", "task": "chat", "batch_size": 128}),
    ("a 70B model, all weights, chat",
     {"model": "meta-llama/Llama-3.1-70B", "task": "chat", "batch_size": 128}),
    ("Mistral 7B after SFT, DPO on all weights",
     {"model": "mistral-7b-sft", "task": "dpo", "batch_size": 128}),
    ("the same with LoRA of rank 64",
     {"model": "mistral-7b-sft", "task": "dpo", "method": "lora", "lora_rank": 64,
      "batch_size": 32}),
    ("T5-base with Adafactor, summarization",
     {"model": "t5-base", "task": "summarization", "optimizer": "adafactor", "batch_size": 32}),
    ("the same with Adafactor as in T5's own code, relative to the weights",
     {"model": "t5-base", "task": "summarization", "optimizer": "adafactor-relative",
      "batch_size": 32}),
    ("CLIP ViT-B/32, image classification, all weights",
     {"model": "openai/clip-vit-base-patch32", "task": "image-classification",
      "batch_size": 256}),
    ("Stable Diffusion 1.5, DreamBooth with LoRA",
     {"model": "stable-diffusion-1.5", "task": "dreambooth", "method": "lora", "lora_rank": 8,
      "batch_size": 1}),
    ("GPT-2 small on one's own text",
     {"model": "gpt2", "task": "text-generation", "batch_size": 16, "steps": 5000}),
    ("a transformer for tables, 10 million parameters",
     {"model": "my-tabformer", "architecture": "tabular", "params": 1e7,
      "task": "tabular-classification"}),
    ("an unknown model, text classification",
     {"model": "acme-language-model", "task": "text-classification"}),
    ("DeBERTa-v3-base with Lion, planned at 1e-3",
     {"model": "microsoft/deberta-v3-base", "task": "nli", "optimizer": "lion",
      "batch_size": 32, "planned_lr": 1e-3}),
    ("Prompt tuning of T5-large with Adafactor",
     {"model": "t5-large", "task": "glue", "method": "prompt", "optimizer": "adafactor"}),
)  # fmt: skip


def main() -> None:
    """Ask, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, default=DEFAULT_TABLE)
    parser.add_argument("--no-write", action="store_true")
    args = parser.parse_args()
    lines = [
        "# Questions that a user would ask, and the answers",
        "",
        "Made by `python scripts/recommend_questions.py`; every figure comes from the table of"
        " published recipes that ships with lrpilot.",
    ]
    for question, facts in QUESTIONS:
        lines += answer(question, facts, recommend(RunFacts(**facts), table=args.table))
    text = "\n".join(lines) + "\n"
    if args.no_write:
        print(text)
    else:
        DOC.write_text(text, encoding="utf-8")


def answer(question: str, facts: dict[str, Any], found: Recommendation) -> list[str]:
    """One question as Markdown."""
    given = ", ".join(f"{name} {value}" for name, value in facts.items())
    decay = f", layer-wise decay {found.layerwise_decay:g}" if found.layerwise_decay else ""
    lines = [
        "",
        f"## {question[0].upper()}{question[1:]}",
        f"Facts: {given}.",
        "",
        f"**{found.peak_lr:g}**, band {found.low:g} to {found.high:g}; confidence"
        f" {found.confidence} ({found.basis}); warm-up {found.warmup_frac:.0%}, then"
        f" {found.schedule}{decay}.",
        "",
        *(f"- {reason.text}" for reason in found.reasons),
    ]
    lines += [f"- **warning**: {warning}" for warning in found.warnings]
    lines += [f"- recipe: {part.text}" for part in found.advice]
    if found.missing:
        lines.append(f"- surer with: {'; '.join(found.missing)}")
    lines += ["", "Nearest sources:", ""]
    for source in found.sources:
        rate = f"{source.peak_lr:g}, " if source.peak_lr else ""
        link = f"[{source.title}]({source.where})" if source.where.startswith("http") else (
            f"{source.title}, {source.where}"
        )  # fmt: skip
        lines.append(f"- {rate}{link} ({source.note})")
    return lines


if __name__ == "__main__":
    main()
