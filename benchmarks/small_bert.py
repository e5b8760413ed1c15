"""The BERTs of random weights that the benchmarks train."""

from __future__ import annotations

import torch
import transformers

BATCH, TOKENS = 16, 32
SIZES = {"tiny BERT": (32, 1), "MiniLM-sized BERT": (384, 6)}  # hidden size, layers


def small_bert(hidden: int, layers: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """A BERT with a head of two classes, the same at each call, and its AdamW."""
    torch.manual_seed(0)
    config = transformers.BertConfig(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=max(2, hidden // 32),
        intermediate_size=4 * hidden,
    )  # fmt: skip
    model = transformers.BertForSequenceClassification(config)
    return model, torch.optim.AdamW(model.parameters(), lr=1e-5)
