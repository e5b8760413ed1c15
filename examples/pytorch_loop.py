"""The autopilot in a plain PyTorch loop: a BERT on movie reviews.

pip install "lrpilot[demo]"
python examples/pytorch_loop.py [steps]
"""

import sys
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from lrpilot.report import write_report
from lrpilot.torch import Autopilot
from lrpilot.tune.demos import find_demo

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 200
demo = find_demo("sentiment")
folder, parts = demo.model(None), demo.data(None)
tokenizer = AutoTokenizer.from_pretrained(folder)


def encode(table, indices):
    texts = [table.texts[i] for i in indices]
    batch = tokenizer(texts, truncation=True, max_length=64, padding=True, return_tensors="pt")
    return batch, torch.as_tensor(table.labels[list(indices)])


torch.manual_seed(0)
model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
optimizer = torch.optim.AdamW(model.parameters())  # its rate is set by the autopilot
train = range(len(parts.train))
loader = DataLoader(train, batch_size=16, shuffle=True, collate_fn=lambda i: encode(parts.train, i))
held_out, held_out_labels = encode(parts.validation, range(0, len(parts.validation), 5))


def validation_losses():
    logits = model(**held_out).logits
    return torch.nn.functional.cross_entropy(logits, held_out_labels, reduction="none")


output = Path("runs/pytorch_loop")
output.mkdir(parents=True, exist_ok=True)
(output / "run.jsonl").unlink(missing_ok=True)
pilot = Autopilot(
    model,
    optimizer,
    total_steps=steps,
    steps_per_epoch=len(loader),
    evaluate=validation_losses,
    start_lr=1e-5,
    record=output / "run.jsonl",
)
for batch, labels in pilot.batches(loader):
    loss = torch.nn.functional.cross_entropy(model(**batch).logits, labels)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    pilot.step(loss)
print(pilot.outcome)
print(write_report(output))
