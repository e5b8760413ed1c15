"""The autopilot in transformers' Trainer: one more argument.

pip install "lrpilot[hf]"
python examples/trainer.py MODEL reviews.csv      (columns text and label, label 0 or 1)
"""

import csv
import sys
from pathlib import Path

from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from lrpilot.transformers import AutopilotCallback

name, path = sys.argv[1:3]
tokenizer = AutoTokenizer.from_pretrained(name)
with Path(path).open(newline="") as file:
    rows = [
        {**tokenizer(row["text"], truncation=True), "labels": int(row["label"])}
        for row in csv.DictReader(file)
    ]
held_out = len(rows) // 5
trainer = Trainer(
    model=AutoModelForSequenceClassification.from_pretrained(name, num_labels=2),
    args=TrainingArguments("runs/trainer", num_train_epochs=3, per_device_train_batch_size=16),
    train_dataset=rows[held_out:],
    eval_dataset=rows[:held_out],
    data_collator=DataCollatorWithPadding(tokenizer),
    callbacks=[AutopilotCallback(record="run.jsonl")],
)
trainer.train()
trainer.save_model()
