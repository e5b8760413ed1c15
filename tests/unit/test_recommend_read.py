"""Facts from files and live models: read exactly, and never run."""

from __future__ import annotations

import contextlib
import enum
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrpilot.errors import InputError
from lrpilot.facts import RunFacts
from lrpilot.recommend import facts_from_data, facts_from_files, facts_from_module, recommend
from lrpilot.recommend.models import look_up, size_in_name

BERT = {"model_type": "bert", "architectures": ["BertForSequenceClassification"],
        "hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072,
        "vocab_size": 30522}  # fmt: skip


class Optim(str, enum.Enum):  # noqa: UP042  transformers' own OptimizerNames is such an enum
    ADAFACTOR = "adafactor"


class Arguments:
    """Pickled like transformers' TrainingArguments: a class, then its state."""

    def __init__(self, **state: Any) -> None:
        self.__dict__.update(state)


class Hostile:
    """A pickle that would write a file when loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.target, "run"))


def save(path: Path, value: Any, *, zipped: bool = True, protocol: int = 2) -> Path:
    raw = pickle.dumps(value, protocol=protocol)
    if not zipped:
        path.write_bytes(raw)
        return path
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("training_args/data.pkl", raw)
    return path


def test_a_config_tells_family_and_size(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(BERT))
    found = facts_from_files(tmp_path)
    assert found.family == "bert"
    assert found.architecture == "encoder"
    # 12 (4 h h + 2 h f) + v h, by hand
    assert found.params == 12 * (4 * 768**2 + 2 * 768 * 3072) + 30522 * 768
    assert found == facts_from_files(tmp_path / "config.json")


def test_a_classifiers_config_tells_its_classes(tmp_path: Path) -> None:
    labels = {str(i): f"kind {i}" for i in range(7)}
    for name, classes in (("BertForSequenceClassification", 7), ("BertForMaskedLM", None)):
        config = {**BERT, "architectures": [name], "id2label": labels}
        (tmp_path / "config.json").write_text(json.dumps(config))
        assert facts_from_files(tmp_path).classes == classes
    one = {**BERT, "architectures": ["BertForSequenceClassification"], "id2label": {"0": "score"}}
    (tmp_path / "config.json").write_text(json.dumps(one))
    assert facts_from_files(tmp_path).classes is None


def test_a_config_with_a_hub_name_is_that_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**BERT, "_name_or_path": "roberta-large"}))
    assert facts_from_files(tmp_path).model == "roberta-large"


def test_llama_is_the_type_of_many_makers_models(tmp_path: Path) -> None:
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64,
              "num_hidden_layers": 2, "intermediate_size": 256, "hidden_act": "silu"}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = facts_from_files(tmp_path)
    assert (found.model, found.family, found.architecture) == (None, None, "decoder")
    assert found.params == 2 * (4 * 64**2 + 3 * 64 * 256)


def test_the_weights_header_is_exact(tmp_path: Path) -> None:
    header = {"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [3, 5]},
              "b": {"dtype": "F32", "shape": [7]}}  # fmt: skip
    raw = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(raw)) + raw)
    (tmp_path / "config.json").write_text(json.dumps(BERT))
    assert facts_from_files(tmp_path).params == 22


def test_a_broken_header_falls_back_on_the_config(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 20)
    (tmp_path / "config.json").write_text(json.dumps(BERT))
    assert facts_from_files(tmp_path).params > 1e8  # type: ignore[operator]


def test_an_adapter_tells_method_rank_and_base(tmp_path: Path) -> None:
    config = {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "base_model_name_or_path": "gpt2"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    found = facts_from_files(tmp_path)
    assert (found.method, found.lora_rank, found.lora_alpha, found.model) == (
        "lora",
        16,
        32.0,
        "gpt2",
    )
    assert facts_from_files(tmp_path, RunFacts(model="t5-base")).model == "t5-base"


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_training_arguments_are_read_without_unpickling(
    tmp_path: Path, zipped: bool, protocol: int
) -> None:
    state = Arguments(output_dir="out", learning_rate=3e-5, per_device_train_batch_size=8,
                      gradient_accumulation_steps=4, num_train_epochs=3.0, max_steps=-1,
                      optim=Optim.ADAFACTOR, seed=42)  # fmt: skip
    path = save(tmp_path / "training_args.bin", state, zipped=zipped, protocol=protocol)
    found = facts_from_files(path)
    assert found == RunFacts(
        planned_lr=3e-5, batch_size=32, epochs=3.0, optimizer="adafactor", steps=None
    )


def test_a_hostile_pickle_is_not_run(tmp_path: Path) -> None:
    target = tmp_path / "was-run"
    state = {"learning_rate": 1e-4, "x": Hostile(target)}
    found = facts_from_files(save(tmp_path / "training_args.bin", state))
    assert found.planned_lr == 1e-4
    assert not target.exists()
    alone = save(tmp_path / "other.bin", Hostile(target))
    with pytest.raises(InputError, match="no training arguments"):
        facts_from_files(alone)
    assert not target.exists()


def test_training_arguments_as_yaml_and_json(tmp_path: Path) -> None:
    yaml = tmp_path / "training_args.yaml"
    yaml.write_text(
        "learning_rate: 2.0e-5  # mine\nmax_steps: 500\noptim: 'sgd'\nnested:\n  a: 1\n"
    )
    found = facts_from_files(yaml)
    assert (found.planned_lr, found.steps, found.optimizer) == (2e-5, 500, "sgd")
    path = tmp_path / "training_args.json"
    path.write_text(json.dumps({"learning_rate": 1e-5, "max_steps": 10, "num_train_epochs": 3}))
    assert (facts_from_files(path).steps, facts_from_files(path).epochs) == (10, None)


def test_what_the_user_gave_goes_first(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(BERT))
    save(tmp_path / "training_args.bin", Arguments(learning_rate=1e-4, num_train_epochs=3.0))
    found = facts_from_files(tmp_path, RunFacts(params=5.0, planned_lr=1e-6, epochs=1.0))
    assert (found.params, found.planned_lr, found.epochs) == (5.0, 1e-6, 1.0)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("config.json", "{", "not readable JSON"),
        ("config.json", "[1]", "holds no JSON object"),
        ("config.json", "{}", "no config of a model"),
        ("config.json", '{"architectures": []}', "no model_type"),
        ("adapter_config.json", '{"peft_type": "MAGIC"}', "peft_type is 'MAGIC'"),
        ("training_args.bin", "not a pickle", "not a readable"),
        ("notes.txt", "hello", "no known kind"),
    ],
)
def test_damaged_files_are_refused_in_one_line(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        facts_from_files(tmp_path / name)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_absent_and_empty_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        facts_from_files(tmp_path / "absent")
    with pytest.raises(InputError, match="holds none of"):
        facts_from_files(tmp_path)


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "training_args.bin", Arguments(learning_rate=1e-4))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError):
        facts_from_files(path)


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(raw=st.binary(max_size=200))
def test_random_bytes_never_do_more_than_be_refused(tmp_path: Path, raw: bytes) -> None:
    for name in ("training_args.bin", "config.json", "training_args.yaml"):
        path = tmp_path / name
        path.write_bytes(raw)
        with contextlib.suppress(InputError):
            facts_from_files(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'text,label\n"two\nlines",1\nb,0\nc,1\n'),
        ("a.tsv", "text\tlabel\na\t1\nb\t0\nc\t1\n"),
        ("a.jsonl", '{"text": "a", "label": 1}\n\n{"text": "b", "label": 0}\n{"label": 1}\n'),
    ],
)
def test_a_data_file_is_counted(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = facts_from_data(tmp_path / name)
    assert (found.examples, found.labels) == (3, 2)


def test_a_column_of_free_text_is_no_label(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,target\na,x\nb,y\nc,z\n")
    assert facts_from_data(tmp_path / "a.csv").labels is None


def test_parquet_is_counted(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = arrow.table({"text": ["a", "b", "c"], "label": [0, 1, 1]})
    parquet.write_table(table, tmp_path / "a.parquet")
    found = facts_from_data(tmp_path / "a.parquet")
    assert (found.examples, found.labels) == (3, 2)
    (tmp_path / "b.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match="not a readable Parquet"):
        facts_from_data(tmp_path / "b.parquet")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "text,label\n", "holds no examples"),
        ("a.jsonl", '{"a": 1}\n{"a":', "line 2 is not JSON"),
        ("a.jsonl", "[1]\n", "line 1 is no object"),
        ("a.xlsx", "", "give a .csv"),
    ],
)
def test_damaged_data_is_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words):
        facts_from_data(tmp_path / name)
    with pytest.raises(InputError):
        facts_from_data(tmp_path / f"absent-{name}")


class Parameter:
    def __init__(self, *shape: int, trains: bool = True) -> None:
        self.shape, self.requires_grad = shape, trains

    def numel(self) -> int:
        count = 1
        for side in self.shape:
            count *= side
        return count


class Conv2d:
    """Stands for a layer of that name."""


class Module:
    """As much of a torch module as is looked at."""

    def __init__(
        self, parts: dict[str, Parameter], layers: tuple[Any, ...] = (), **more: Any
    ) -> None:
        self.parts, self.layers = parts, layers
        self.__dict__.update(more)

    def named_parameters(self) -> list[tuple[str, Parameter]]:
        return list(self.parts.items())

    def modules(self) -> tuple[Any, ...]:
        return self.layers


def test_a_module_is_counted() -> None:
    found = facts_from_module(Module({"w": Parameter(100, 20), "b": Parameter(20)}, (Conv2d(),)))
    assert (found.params, found.method, found.architecture) == (2020.0, "full", "cnn")


def test_lora_layers_tell_method_and_rank() -> None:
    parts = {"w": Parameter(64, 64, trains=False), "w.lora_A.weight": Parameter(8, 64),
             "w.lora_B.weight": Parameter(64, 8)}  # fmt: skip
    found = facts_from_module(Module(parts))
    assert (found.method, found.lora_rank, found.params) == ("lora", 8, 4096.0)


def test_a_small_trainable_share_is_a_probe() -> None:
    parts = {"body": Parameter(1000, 100, trains=False), "head": Parameter(100, 2)}
    assert facts_from_module(Module(parts)).method == "linear-probe"
    parts = {"body": Parameter(1000, 100, trains=False), "x.bias": Parameter(100)}
    assert facts_from_module(Module(parts)).method == "bitfit"


def test_a_modules_config_names_it() -> None:
    class Config:
        model_type = "roberta"
        _name_or_path = "acme/roberta-large"

    assert facts_from_module(Module({"w": Parameter(10)}, config=Config())).model == (
        "acme/roberta-large"
    )
    known = RunFacts(model="x", params=7.0)
    assert facts_from_module(Module({"w": Parameter(10)}, config=Config()), known) == known


class BertForSequenceClassification(Module):
    """Stands for a classifier of that name."""


def test_a_classifier_tells_its_classes() -> None:
    class Config:
        num_labels = 7

    parts = {"w": Parameter(10)}
    classifier = BertForSequenceClassification(parts, config=Config())
    assert facts_from_module(classifier).classes == 7
    wrapped = Module(parts, config=Config(), base_model=Module(parts, model=classifier))
    assert facts_from_module(wrapped).classes == 7
    assert facts_from_module(Module(parts, config=Config())).classes is None
    assert facts_from_module(classifier, RunFacts(classes=3)).classes == 3
    Config.num_labels = 1  # a regression
    assert facts_from_module(classifier).classes is None


@pytest.mark.parametrize("thing", [object(), Module({})])
def test_no_parameters_no_facts(thing: object) -> None:
    with pytest.raises(InputError, match=r"named_parameters|no parameters"):
        facts_from_module(thing)


@pytest.mark.parametrize(
    ("name", "family", "architecture", "pretraining", "params"),
    [
        ("google-bert/bert-base-uncased", "bert", "encoder", "self-supervised", 1.1e8),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama3", "decoder", "instruction-tuned", 8e9),
        ("Qwen/Qwen2.5-7B", "qwen", "decoder", "self-supervised", 7e9),
        ("microsoft/deberta-v3-large", "deberta", "encoder", "self-supervised", 4.3e8),
        ("facebook/vit-mae-base", "mae", "vit", "self-supervised", 8.6e7),
        ("openai/whisper-small", "whisper", "speech", "supervised", 2.44e8),
        ("EleutherAI/pythia-410m", "pythia", "decoder", "self-supervised", 4.1e8),
        ("tiiuae/falcon-40b-instruct", "falcon", "decoder", "instruction-tuned", 4e10),
        ("tiiuae/falcon-40b", "falcon", "decoder", "self-supervised", 4e10),
        ("mistral-7b-instruct-v0.2", "mistral", "decoder", "instruction-tuned", 7e9),
    ],
)
def test_names(name: str, family: str, architecture: str, pretraining: str, params: float) -> None:
    from lrpilot.recommend.table import load_recipes

    found = look_up(name, load_recipes())
    assert (found.family, found.architecture, found.pretraining) == (
        family,
        architecture,
        pretraining,
    )
    assert found.params == pytest.approx(params, rel=0.1)


@pytest.mark.parametrize("name", ["acme", "alberta", "bertrand", "mybert", "optimus", "visual"])
def test_a_word_inside_a_name_is_no_family(name: str) -> None:
    assert look_up(name, ()).how == "unknown"


@pytest.mark.parametrize(
    ("name", "size"),
    [("x-8b", 8e9), ("x-1.5b-it", 1.5e9), ("x-410m", 4.1e8), ("8x7b", 5.6e10), ("x-v2", None)],
)
def test_sizes_in_names(name: str, size: float | None) -> None:
    assert size_in_name(name) == size


def test_what_is_read_can_be_recommended_for(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(BERT))
    found = recommend(facts_from_files(tmp_path, RunFacts(task="sentiment")))
    assert found.basis == "family"
