"""Write small logs by really training with a framework, for the tests of doctor's readers.

    python scripts/doctor_write_logs.py hf lightning ... --output tests/data/doctor

Each framework's logs go to OUTPUT/FRAMEWORK-VERSION/. Run it in an environment of the version that
is wanted. What was committed came from Python 3.11 with torch 2.13.0 and
  transformers 5.23.0 and 4.57.0, trl 1.16.0 and 0.12.0 (peft), lightning 2.6.6 and 2.4.0,
  keras 3.15.1 and 3.5.0 (KERAS_BACKEND=torch), tensorboard 2.21.0, tensorboardX 2.6.5,
  wandb 0.31.0 and 0.18.0 (offline), mlflow 3.17.2 and 2.16.0.
Weights are deleted, and names of machines, users and folders are replaced.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

KEPT = ("trainer_state.json", "training_args.bin", "config.json", "adapter_config.json")


def version(package: str) -> str:
    return importlib.metadata.version(package)


# -- transformers and TRL -------------------------------------------------------------------


def write_hf(folder: Path) -> None:
    import torch
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    class Data(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __init__(self, n: int) -> None:
            self.x = torch.randint(0, 50, (n, 8))
            self.y = (self.x[:, 0] > 25).long()

        def __len__(self) -> int:
            return len(self.x)

        def __getitem__(self, i: int) -> dict[str, Any]:
            return {"input_ids": self.x[i], "labels": self.y[i]}

    set_seed(0)
    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=32, max_position_embeddings=16)  # fmt: skip
    extra = {"logging_dir": "run/runs"} if version("transformers")[0] == "4" else {}
    os.environ["TENSORBOARD_LOGGING_DIR"] = "run/runs"
    arguments = TrainingArguments(
        output_dir="run", num_train_epochs=3, per_device_train_batch_size=4,
        gradient_accumulation_steps=2, learning_rate=3e-3, eval_strategy="steps", eval_steps=8,
        save_strategy="steps", save_steps=8, logging_steps=4, load_best_model_at_end=True,
        metric_for_best_model="accuracy", report_to=["tensorboard"], warmup_steps=3,
        save_total_limit=2, use_cpu=True, **extra,
    )  # fmt: skip
    trainer = Trainer(
        model=BertForSequenceClassification(config), args=arguments, train_dataset=Data(64),
        eval_dataset=Data(40),
        compute_metrics=lambda p: {
            "accuracy": float((p.predictions.argmax(-1) == p.label_ids).mean())
        },
    )  # fmt: skip
    trainer.train()
    trainer.save_model()
    trainer.save_state()
    keep_only(folder / "run")


def tiny_language_model() -> tuple[Any, Any]:
    """A GPT-2 of one layer over ten letters, and its tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, set_seed

    set_seed(0)
    words = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "[EOS]", *"abcdefghij"])}
    raw = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="[PAD]", eos_token="[EOS]", unk_token="[UNK]"
    )
    config = GPT2Config(
        vocab_size=len(words), n_positions=64, n_embd=16, n_layer=1, n_head=2,
        bos_token_id=2, eos_token_id=2,
    )  # fmt: skip
    return GPT2LMHeadModel(config), tokenizer


def write_trl(folder: Path) -> None:
    import trl
    from datasets import Dataset
    from peft import LoraConfig

    common = {"max_steps": 12, "per_device_train_batch_size": 4, "logging_steps": 2,
              "eval_strategy": "steps", "eval_steps": 4, "save_strategy": "steps",
              "save_steps": 12, "report_to": [], "use_cpu": True, "bf16": False,
              "warmup_steps": 2}  # fmt: skip
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=["c_attn"], task_type="CAUSAL_LM",
                      fan_in_fan_out=True)  # fmt: skip
    texts = [{"text": " ".join("abcdefghij"[i % 5 : i % 5 + 5])} for i in range(48)]
    old = version("trl").startswith("0.")
    length = {"dataset_text_field": "text", "max_seq_length": 16} if old else {"max_length": 16}
    model, tokenizer = tiny_language_model()
    data = Dataset.from_list(texts)
    arguments = trl.SFTConfig(
        output_dir="run", learning_rate=2e-4, lr_scheduler_type="cosine", **length, **common
    )
    trainers = [trl.SFTTrainer(
        model=model, args=arguments, train_dataset=data, eval_dataset=data,
        processing_class=tokenizer, peft_config=lora,
    )]  # fmt: skip
    if not old:
        pairs = Dataset.from_list([{"prompt": "a b", "chosen": "c d", "rejected": "e f"}] * 32)
        model, tokenizer = tiny_language_model()
        trainers.append(trl.DPOTrainer(
            model=model, ref_model=tiny_language_model()[0], train_dataset=pairs,
            args=trl.DPOConfig(output_dir="dpo", **common), eval_dataset=pairs,
            processing_class=tokenizer,
        ))  # fmt: skip
        prompts = Dataset.from_list([{"prompt": "a b"}] * 32)
        model, tokenizer = tiny_language_model()
        sampling = {"num_generations": 4, "max_completion_length": 8}
        trainers.append(trl.GRPOTrainer(
            model=model, args=trl.GRPOConfig(output_dir="grpo", **common, **sampling),
            reward_funcs=letters, train_dataset=prompts, eval_dataset=prompts,
            processing_class=tokenizer,
        ))  # fmt: skip
    for trainer in trainers:
        trainer.train()
        trainer.save_state()
    keep_only(folder)


def letters(completions: list[str], **_: Any) -> list[float]:
    """A reward: the length of what was written."""
    return [float(len(text)) for text in completions]


def keep_only(folder: Path) -> None:
    """Delete weights, optimizer states and tokenizers."""
    for file in [f for f in folder.rglob("*") if f.is_file()]:
        if file.name not in KEPT and "tfevents" not in file.name:
            file.unlink()


# -- Lightning ------------------------------------------------------------------------------


def write_lightning(folder: Path) -> None:
    import lightning as L
    import torch
    from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    class Model(L.LightningModule):
        def __init__(self, lr: float = 1e-2, batch_size: int = 8) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.body, self.head = torch.nn.Linear(4, 8), torch.nn.Linear(8, 1)

        def _loss(self, batch: Any) -> Any:
            x, y = batch
            return torch.nn.functional.mse_loss(self.head(torch.relu(self.body(x))), y)

        def training_step(self, batch: Any, index: int) -> Any:
            loss = self._loss(batch)
            self.log("train_loss", loss, on_step=True, on_epoch=True)
            return loss

        def validation_step(self, batch: Any, index: int) -> None:
            self.log("val_loss", self._loss(batch))
            self.log("val_mae", self._loss(batch).sqrt())

        def configure_optimizers(self) -> Any:
            groups = [{"params": self.body.parameters()},
                      {"params": self.head.parameters(), "lr": 2e-2}]  # fmt: skip
            optimizer = torch.optim.AdamW(groups, lr=self.hparams["lr"])
            schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, 24)
            return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    L.seed_everything(0)

    def loader(n: int) -> Any:
        x = torch.randn(n, 4)
        data = torch.utils.data.TensorDataset(x, x.sum(1, keepdim=True))
        return torch.utils.data.DataLoader(data, batch_size=8)

    train, held_out = loader(64), loader(32)
    for make, name in ((CSVLogger, "csv"), (TensorBoardLogger, "tb")):
        logger = make(".", name=name, version="version_0")
        keeper = ModelCheckpoint(monitor="val_loss", save_top_k=2)
        trainer = L.Trainer(
            max_epochs=3, logger=logger, log_every_n_steps=2, accelerator="cpu",
            callbacks=[LearningRateMonitor("step"), keeper], enable_progress_bar=False,
            enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(Model(), train, held_out)
    for file in folder.rglob("*.ckpt"):
        file.write_bytes(b"")


# -- TensorBoard ----------------------------------------------------------------------------


def write_tensorboard(folder: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    _write_scalars(SummaryWriter, "plain")
    with SummaryWriter("tensors") as writer:
        for step in range(1, 21):
            writer.add_scalar("Loss/train", 1 / step, step, new_style=True)
            writer.add_scalar("Loss/val", 1.1 / step, step, new_style=True, double_precision=True)
    with SummaryWriter("together") as writer:
        for step in range(1, 21):
            writer.add_scalars("loss", {"train": 1 / step, "val": 1.1 / step}, step)
            writer.add_scalar("lr", 1e-3, step)
    _write_scalars(SummaryWriter, "resumed")
    with SummaryWriter("resumed", purge_step=15) as writer:
        for step in range(15, 26):
            writer.add_scalar("train/loss", 2 / step, step)


def write_tensorboardx(folder: Path) -> None:
    from tensorboardX import SummaryWriter

    _write_scalars(SummaryWriter, "plain")


def _write_scalars(new: Callable[[str], Any], where: str) -> None:
    with new(where) as writer:
        for step in range(1, 21):
            writer.add_scalar("train/loss", 1 / step, step)
            writer.add_scalar("train/lr", 1e-3 * (1 - step / 20), step)
            if step % 5 == 0:
                writer.add_scalar("val/loss", 1.1 / step, step)
                writer.add_scalar("val/accuracy", 1 - 1 / step, step)
        writer.add_text("note", "hello")
        writer.add_histogram("weights", __import__("numpy").arange(10.0), 20)


# -- Keras ----------------------------------------------------------------------------------


def write_keras(folder: Path) -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(64, 4))
    y = (x.sum(1) > 0).astype("float32")
    model = keras.Sequential([keras.layers.Dense(4, "relu"), keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy", metrics=["accuracy"])
    plateau = keras.callbacks.ReduceLROnPlateau(patience=2, min_delta=0.02)
    history = model.fit(
        x, y, epochs=8, batch_size=8, validation_split=0.25, verbose=0,
        callbacks=[plateau, keras.callbacks.CSVLogger("training.csv")],
    )  # fmt: skip
    plain = {k: [float(v) for v in values] for k, values in history.history.items()}
    Path("history.json").write_text(json.dumps(plain))
    whole = {"history": plain, "epoch": history.epoch, "params": history.params}
    Path("with-params.json").write_text(json.dumps(whole))


# -- W&B and MLflow -------------------------------------------------------------------------


def write_wandb(folder: Path) -> None:
    import wandb

    hide = {"console": "off", "save_code": False, "disable_git": True, "host": "host"}
    hide["x_disable_meta" if version("wandb") > "0.19" else "_disable_meta"] = True
    hide["x_disable_stats" if version("wandb") > "0.19" else "_disable_stats"] = True
    config = {"learning_rate": 2e-5, "num_train_epochs": 3, "optim": "adamw_torch",
              "per_device_train_batch_size": 8, "lr_scheduler_type": "linear"}  # fmt: skip
    os.environ["WANDB_PROGRAM"] = "train.py"
    run = wandb.init(project="demo", mode="offline", id="abcd1234", config=config,
                     settings=wandb.Settings(**hide))  # fmt: skip
    for step in range(1, 41):
        row = {"train/loss": 1 / step, "train/learning_rate": 2e-5 * (1 - step / 40),
               "train/global_step": step * 10}  # fmt: skip
        if step % 10 == 0:
            row |= {"eval/loss": 1.1 / step, "eval/accuracy": 1 - 1 / step}
        run.log(row)
    run.finish()
    for file in list(folder.rglob("*")):
        if file.is_symlink() or (file.is_file() and file.suffix != ".wandb"):
            file.unlink()
    (made,) = folder.glob("wandb/offline-run-*")
    made.rename(made.with_name("offline-run-20260101_000000-abcd1234"))


def write_mlflow(folder: Path) -> None:
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    import mlflow

    stores = ["mlruns"] + (["sqlite:///mlflow.db"] if version("mlflow-skinny")[0] == "3" else [])
    for store in stores:
        mlflow.set_tracking_uri(store)
        mlflow.set_registry_uri("mlruns")
        mlflow.set_experiment("demo")
        with mlflow.start_run(run_name="one"):
            mlflow.log_params({"learning_rate": 2e-5, "num_train_epochs": 3, "optim": "adamw_torch",
                               "per_device_train_batch_size": 8})  # fmt: skip
            for step in range(1, 21):
                mlflow.log_metrics({"loss": 1 / step, "learning_rate": 1e-6 * step}, step=step)
                if step % 5 == 0:
                    mlflow.log_metrics({"eval_loss": 1.1 / step, "eval/f1": 0.5}, step=step)
    for tag in list(folder.rglob("mlflow.user")) + list(folder.rglob("mlflow.source.name")):
        tag.unlink()
    for meta in folder.rglob("meta.yaml"):
        text = re.sub(r"(artifact_(?:uri|location)): .*", r"\1: neutral", meta.read_text())
        meta.write_text(re.sub(r"user_id: .*", "user_id: someone", text))
    for place in folder.glob("*.db"):
        with sqlite3.connect(place) as database:
            database.execute("update runs set artifact_uri='neutral', user_id='someone',"
                             " source_name='train.py'")  # fmt: skip
            database.execute("update experiments set artifact_location='neutral'")
            database.execute("delete from tags")
            _drop_other_tables(database)
        with sqlite3.connect(place) as database:
            database.execute("pragma page_size = 512")
            database.execute("vacuum")


def _drop_other_tables(database: sqlite3.Connection) -> None:
    """A new store has fifty empty tables; the run's own stay."""
    kept = {"runs", "metrics", "params", "latest_metrics", "experiments", "alembic_version"}
    database.execute("pragma foreign_keys = off")
    names = database.execute("select name from sqlite_master where type = 'table'").fetchall()
    for (name,) in names:
        if name not in kept and not name.startswith("sqlite_"):
            database.execute(f'drop table "{name}"')


WRITERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "hf": ("transformers", write_hf),
    "trl": ("trl", write_trl),
    "lightning": ("lightning", write_lightning),
    "tensorboard": ("tensorboard", write_tensorboard),
    "tensorboardx": ("tensorboardX", write_tensorboardx),
    "keras": ("keras", write_keras),
    "wandb": ("wandb", write_wandb),
    "mlflow": ("mlflow-skinny", write_mlflow),
}


def neutral_names(folder: Path) -> None:
    """Event files are named after the machine; others get a name without it."""
    files = sorted(folder.rglob("*tfevents*"))
    for number, file in enumerate(files):
        last = file.name.rsplit(".", 1)[-1]
        file.rename(file.with_name(f"events.out.tfevents.{1767225600 + number}.host.1.{last}"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frameworks", nargs="+", choices=sorted(WRITERS))
    parser.add_argument("--output", type=Path, required=True)
    chosen = parser.parse_args()
    output = chosen.output.resolve()
    start = Path.cwd()
    for name in chosen.frameworks:
        package, write = WRITERS[name]
        target = output / f"{name}-{version(package)}"
        shutil.rmtree(target, ignore_errors=True)
        with tempfile.TemporaryDirectory() as scratch:
            os.chdir(scratch)
            try:
                write(Path())
            finally:
                os.chdir(start)
            neutral_names(Path(scratch))
            for empty in sorted(Path(scratch).rglob("*"), reverse=True):
                if empty.is_dir() and not any(empty.iterdir()):
                    empty.rmdir()
            shutil.copytree(scratch, target)
        size = sum(f.stat().st_size for f in target.rglob("*") if f.is_file())
        print(f"{target.name}: {size} bytes")


if __name__ == "__main__":
    main()
