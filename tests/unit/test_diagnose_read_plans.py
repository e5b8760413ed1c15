"""Plans of runs that have not begun: YAML, JSON, and scripts that are never run.

The YAML texts are written here with the keys of each project's own examples.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lrpilot.diagnose.history import History
from lrpilot.diagnose.readers import knows, read
from lrpilot.diagnose.readers.settings import logged
from lrpilot.errors import InputError

AXOLOTL = """
base_model: NousResearch/Llama-3.2-1B
val_set_size: 0.1
adapter: lora
lora_r: 16
lora_alpha: 32
gradient_accumulation_steps: 2
micro_batch_size: 2
num_epochs: 1
optimizer: adamw_8bit
lr_scheduler: cosine
learning_rate: 2e-4
bf16: auto
fp16:
warmup_steps: 10
weight_decay: 0.0
"""
FACTORY = """
model_name_or_path: meta-llama/Meta-Llama-3-8B-Instruct
stage: dpo
finetuning_type: lora
lora_rank: 8
template: llama3
per_device_train_batch_size: 1
gradient_accumulation_steps: 8
learning_rate: 5.0e-6
num_train_epochs: 3.0
lr_scheduler_type: cosine
warmup_ratio: 0.1
bf16: true
# val_size: 0.1
"""
TORCHTUNE = """
model:
  _component_: torchtune.models.llama3_2.lora_llama3_2_1b
  lora_rank: 64
  lora_alpha: 128
checkpointer:
  output_dir: ${output_dir}
batch_size: 4
optimizer:
  _component_: torch.optim.AdamW
  weight_decay: 0.01
  lr: 3e-4
lr_scheduler:
  _component_: torchtune.training.lr_schedulers.get_cosine_schedule_with_warmup
  num_warmup_steps: 100
epochs: 1
max_steps_per_epoch: null
gradient_accumulation_steps: 8
dtype: bf16
clip_grad_norm: 1.0
"""
HANDBOOK = """
model_name_or_path: alignment-handbook/zephyr-7b-sft-qlora
use_peft: true
load_in_4bit: true
lora_r: 16
lora_alpha: 16
dataset_mixer:
  HuggingFaceH4/ultrafeedback_binarized: 1.0
bf16: true
beta: 0.01
evaluation_strategy: steps
eval_steps: 100
gradient_accumulation_steps: 1
learning_rate: 5.0e-6
lr_scheduler_type: cosine
num_train_epochs: 1
optim: paged_adamw_32bit
per_device_train_batch_size: 4
warmup_ratio: 0.1
"""
LIGHTNING = """
trainer: {max_epochs: 10, precision: 16-mixed, gradient_clip_val: 1.0}
model: {class_path: my.Model, init_args: {weight_decay: 0.1}}
optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 0.001}}
learning_rate: null
max_steps: null
"""
HF_JSON = """{"output_dir": "out", "learning_rate": 2e-05, "per_device_train_batch_size": 16,
 "max_steps": 1000, "num_train_epochs": 3.0, "warmup_steps": 0.06, "fp16": true, "bf16": false,
 "eval_strategy": "no", "lr_scheduler_type": "linear", "load_best_model_at_end": false}"""

PLANS: dict[str, tuple[str, str, str, dict[str, Any], dict[str, Any]]] = {
    "axolotl": ("config.yml", AXOLOTL, "axolotl",
                {"planned_lr": 2e-4, "batch_size": 4, "method": "lora", "lora_rank": 16,
                 "lora_alpha": 32.0, "epochs": 1.0, "model": "NousResearch/Llama-3.2-1B"},
                {"schedule": "cosine", "warmup_steps": 10, "evaluates": True}),
    "factory": ("sft.yaml", FACTORY, "llama-factory",
                {"planned_lr": 5e-6, "batch_size": 8, "method": "preference-lora", "lora_rank": 8},
                {"warmup_frac": 0.1, "evaluates": False, "precision": "bf16"}),
    "torchtune": ("1B_lora.yaml", TORCHTUNE, "torchtune",
                  {"planned_lr": 3e-4, "batch_size": 32, "method": "lora", "lora_alpha": 128.0,
                   "optimizer": "adamw", "epochs": 1.0},
                  {"schedule": "cosine", "warmup_steps": 100, "max_grad_norm": 1.0,
                   "precision": "bf16", "evaluates": False}),
    "handbook": ("config_qlora.yaml", HANDBOOK, "alignment-handbook",
                 {"planned_lr": 5e-6, "method": "preference-lora", "batch_size": 4},
                 {"evaluates": True, "eval_every_steps": 100, "warmup_frac": 0.1}),
    "lightning": ("config.yaml", LIGHTNING, "lightning-cli",
                  {"planned_lr": 1e-3, "optimizer": "adamw", "epochs": 10.0},
                  {"precision": "fp16", "max_grad_norm": 1.0, "weight_decay": 0.1}),
    "json": ("args.json", HF_JSON, "hf-arguments",
             {"planned_lr": 2e-5, "steps": 1000, "batch_size": 16},
             {"warmup_frac": 0.06, "evaluates": False, "keeps_best": False, "precision": "fp16"}),
}  # fmt: skip


def one(path: Path) -> History:
    (history,) = read(path)
    assert history.train_loss is None
    return history


@pytest.mark.parametrize(("labels", "classes"), [(7, 7), (1, None)])
def test_a_trackers_settings_tell_the_classes(labels: int, classes: int | None) -> None:
    assert logged({"lr": 2e-5, "num_labels": labels}).facts.classes == classes


@pytest.mark.parametrize("name", PLANS)
def test_configs(name: str, tmp_path: Path) -> None:
    file, text, wrote, facts, settings = PLANS[name]
    (tmp_path / file).write_text(text)
    plan = one(tmp_path / file)
    assert plan.format == wrote
    assert {k: getattr(plan.plan.facts, k) for k in facts} == facts
    assert {k: getattr(plan.plan, k) for k in settings} == settings
    assert set(facts) | set(settings) <= plan.plan.stated


def test_yaml_without_pyyaml_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yml").write_text(AXOLOTL)
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(ImportError, match=r'pip install "lrpilot\[doctor\]"'):
        read(tmp_path / "config.yml")


def script(tmp_path: Path, text: str) -> History:
    (tmp_path / "train.py").write_text(text)
    return one(tmp_path / "train.py")


@pytest.mark.parametrize(("callbacks", "evaluates"), [("AutopilotCallback()", True), ("", False)])
def test_the_autopilot_validates_whatever_the_strategy_says(
    tmp_path: Path, callbacks: str, evaluates: bool
) -> None:
    found = script(tmp_path, f"""
from transformers import Trainer, TrainingArguments
from lrpilot.transformers import AutopilotCallback
trainer = Trainer(model, TrainingArguments("out"), train_dataset=train, eval_dataset=held_out,
                  callbacks=[{callbacks}])
trainer.train()
""")  # fmt: skip
    assert found.plan.evaluates is evaluates


def test_a_script_on_trainer(tmp_path: Path) -> None:
    found = script(tmp_path, """
import argparse
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer
from transformers import TrainingArguments
parser = argparse.ArgumentParser()
parser.add_argument("--learning-rate", type=float, default=1e-5)
parser.add_argument("--epochs", default=4)
args = parser.parse_args()
BATCH = 16
raise SystemExit("this is never run")
tokenizer = AutoTokenizer.from_pretrained("roberta-base")
model = AutoModelForSequenceClassification.from_pretrained("bert-base-uncased", num_labels=2)
arguments = TrainingArguments(
    "out", learning_rate=2 * args.learning_rate, num_train_epochs=args.epochs,
    per_device_train_batch_size=BATCH, gradient_accumulation_steps=2, warmup_ratio=share(),
)
Trainer(model, arguments, train_dataset=data["train"], eval_dataset=data["train"]).train()
""")  # fmt: skip
    facts, plan = found.plan.facts, found.plan
    assert (facts.planned_lr, facts.batch_size, facts.epochs) == (2e-5, 32, 4.0)
    assert (facts.model, facts.method) == ("bert-base-uncased", "full")
    assert "method" in plan.stated
    assert (plan.schedule, plan.evaluates, plan.keeps_best) == ("linear", False, False)
    assert (plan.eval_on_train, plan.new_head) == (True, True)
    assert (plan.warmup_steps, plan.warmup_frac) == (None, None)
    assert any("share()" in said and "unknown" in said for said in found.unread)
    assert any("eval_strategy='no'" in said for said in found.unread)


@pytest.mark.parametrize(
    ("name", "lr"), [("TrainingArguments", 5e-5), ("SFTConfig", 2e-5), ("DPOConfig", 1e-6)]
)
def test_defaults_are_the_classes_own(tmp_path: Path, name: str, lr: float) -> None:
    found = script(tmp_path, f"arguments = {name}(output_dir='x')\n")
    assert found.plan.facts.planned_lr == lr
    assert any(f"learning_rate={lr!r}" in said for said in found.unread)


def test_a_class_of_its_own_has_no_known_defaults(tmp_path: Path) -> None:
    found = script(tmp_path, "a = MyTrainingArguments('o', learning_rate=1e-4)\nt.train()\n")
    assert found.plan.stated == {"planned_lr"}
    assert any("MyTrainingArguments is not known" in said for said in found.unread)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = TrainingArguments('o')\nTrainer(m, a).evaluate()\n", "no TrainingArguments"),
        ("p = HfArgumentParser(TrainingArguments)\nt.train()\n", "command line"),
    ],
)
def test_scripts_without_a_plan_of_their_own(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "train.py").write_text(text)
    with pytest.raises(InputError, match=says):
        read(tmp_path / "train.py")


def test_unknown_arguments_are_not_guessed(tmp_path: Path) -> None:
    found = script(tmp_path, "a = SFTConfig(learning_rate=rate, **more)\n")
    assert found.plan.stated == frozenset()
    assert any("'**'" in said for said in found.unread)
    twice = script(tmp_path, "lr = 1e-5\nlr = 1e-4\na = SFTConfig(learning_rate=lr)\n")
    assert twice.plan.facts.planned_lr is None


def test_qlora_and_preference(tmp_path: Path) -> None:
    found = script(tmp_path, """
from peft import LoraConfig
from transformers import BitsAndBytesConfig
from trl import DPOConfig
quant = BitsAndBytesConfig(load_in_4bit=True)
lora = LoraConfig(r=64, lora_alpha=16)
arguments = DPOConfig(output_dir="x", learning_rate=5e-6, eval_strategy="steps", eval_steps=50)
""")  # fmt: skip
    facts = found.plan.facts
    assert (facts.method, facts.lora_rank, facts.lora_alpha) == ("preference-lora", 64, 16.0)
    assert (found.plan.evaluates, found.plan.eval_every_steps) == (True, 50)


TORCH = """
import torch
import torch.optim as optim
from torch.utils.data import DataLoader
from transformers import get_linear_schedule_with_warmup
config = {"lr": 3e-5, "epochs": 5}
def main(batch_size=8):
    model.fc = torch.nn.Linear(512, 10)
    loader = DataLoader(train_data, batch_size=batch_size, shuffle=True)
    optimizer = optim.AdamW([
        {"params": model.body.parameters()},
        {"params": model.fc.parameters(), "lr": 1e-3},
    ], lr=config["lr"], weight_decay=0.01)
    schedule = get_linear_schedule_with_warmup(
        optimizer, num_warmup_steps=100, num_training_steps=1000)
    for epoch in range(config["epochs"]):
        for batch in loader:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
"""


def test_a_loop_of_ones_own(tmp_path: Path) -> None:
    found = script(tmp_path, TORCH)
    facts, plan = found.plan.facts, found.plan
    assert (facts.planned_lr, facts.batch_size, facts.epochs) == (3e-5, 8, 5.0)
    assert (plan.schedule, plan.warmup_steps, plan.schedule_steps) == ("linear", 100, 1000)
    assert [(g.name, g.lr) for g in plan.groups] == [("model.body", 3e-5), ("model.fc", 1e-3)]
    assert (plan.head_lr, plan.new_head, plan.evaluates) == (1e-3, True, False)
    assert plan.max_grad_norm == 1.0


def test_no_scheduler_is_a_constant_rate(tmp_path: Path) -> None:
    found = script(
        tmp_path, "import torch\no = torch.optim.SGD(m.parameters(), lr=0.1)\nm.eval()\n"
    )
    assert (found.plan.schedule, found.plan.facts.optimizer) == ("constant", "sgd")
    assert (found.plan.evaluates, found.plan.max_grad_norm) == (True, 0.0)


def test_lightning(tmp_path: Path) -> None:
    found = script(tmp_path, """
import lightning as L
import torch
class Model(L.LightningModule):
    def __init__(self, lr: float = 1e-3):
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=self.hparams.lr)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)]
    def validation_step(self, batch, index): ...
keeper = L.pytorch.callbacks.ModelCheckpoint(monitor="val_acc", mode="max")
trainer = L.Trainer(max_epochs=10, precision="bf16-mixed", gradient_clip_val=0.5)
trainer.fit(Model(lr=0.05), loader)
""")  # fmt: skip
    plan = found.plan
    assert (plan.facts.planned_lr, plan.facts.epochs, plan.schedule) == (0.05, 10.0, "cosine")
    assert (plan.precision, plan.max_grad_norm, plan.evaluates) == ("bf16", 0.5, True)
    assert (plan.metric, plan.metric_mode, plan.keeps_best) == ("val_acc", "max", True)


def test_keras(tmp_path: Path) -> None:
    found = script(tmp_path, """
import keras
rate = keras.optimizers.schedules.CosineDecay(1e-2, decay_steps=1000)
model.compile(optimizer=keras.optimizers.Adam(learning_rate=rate), loss="mse")
model.fit(x, y, epochs=10, batch_size=32, validation_data=(x, y),
          callbacks=[keras.callbacks.EarlyStopping(restore_best_weights=True)])
""")  # fmt: skip
    plan = found.plan
    assert (plan.facts.planned_lr, plan.schedule, plan.schedule_steps) == (1e-2, "cosine", 1000)
    assert (plan.evaluates, plan.eval_on_train, plan.keeps_best) == (True, True, True)
    assert (plan.facts.epochs, plan.facts.batch_size) == (10.0, 32)
    short = script(tmp_path, "import keras\nmodel.compile('adam', loss='mse')\nmodel.fit(x, y)\n")
    assert (short.plan.facts.planned_lr, short.plan.evaluates) == (1e-3, False)
    assert (short.plan.schedule, short.plan.keeps_best) == ("constant", False)


@pytest.mark.parametrize(
    ("made", "name"),
    [
        ("torch.optim.Adafactor(p, lr=1e-3)", "adafactor-relative"),
        ("Adafactor(p, lr=1e-3, scale_parameter=True)", "adafactor-relative"),
        ("Adafactor(p, lr=1e-3, scale_parameter=False)", "adafactor"),
    ],
)
def test_adafactors_scale_is_read_off_a_script(tmp_path: Path, made: str, name: str) -> None:
    head = "import torch.optim\nfrom transformers import Adafactor\n"
    assert script(tmp_path, f"{head}o = {made}\n").plan.facts.optimizer == name
    keras = "import keras\nmodel.compile('adafactor', loss='mse')\nmodel.fit(x, y)\n"
    assert script(tmp_path, keras).plan.facts.optimizer == "adafactor-relative"


def test_a_notebook(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["TrainingArguments"]},
        {"cell_type": "code", "source": ["!pip install x\n", "%matplotlib inline\n", "lr = 3e-5"]},
        {"cell_type": "code", "source": "%%bash\nls (("},
        {"cell_type": "code", "source": ["a = TrainingArguments('o', learning_rate=lr)\n", "a?"]},
    ]
    (tmp_path / "train.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4}))
    assert one(tmp_path / "train.ipynb").plan.facts.planned_lr == 3e-5


def test_two_runs_in_one_script_are_two_plans(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("a = SFTConfig()\n\nb = DPOConfig()\n")
    where = [Path(h.where).name for h in read(tmp_path / "train.py")]
    assert where == ["train.py:1", "train.py:3"]


@pytest.mark.parametrize(
    "text",
    [
        "TrainingArguments(",
        "a = (" * 500 + "TrainingArguments()" + ")" * 500,
        "x = TrainingArguments(learning_rate=9**9**9**9)",
        "a = b\nb = a\nTrainingArguments(learning_rate=a)",
        "lr = lr + lr + lr\nlr = lr * lr\n" * 9 + "TrainingArguments(learning_rate=lr)",
        "TrainingArguments(learning_rate=-1, num_train_epochs='many', eval_steps=[])",
        "TrainingArguments(learning_rate=1e999)",
        "# torch.optim\n\0",
        "import torch.optim\n",
    ],
)
def test_odd_scripts(tmp_path: Path, text: str) -> None:
    (tmp_path / "train.py").write_text(text)
    said = ""
    try:
        (found,) = read(tmp_path / "train.py")
    except InputError as error:
        said = str(error)
    else:
        assert found.plan.facts.planned_lr is None
    assert "\n" not in said


def test_a_script_without_training_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('hello')\n")
    with pytest.raises(InputError, match="no known format"):
        read(tmp_path / "train.py")
    assert not knows(tmp_path / "train.py")
    assert not knows(tmp_path / "nothing")
