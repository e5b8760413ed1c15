"""The shipped tables of published learning rates: schema, units, provenance, and their README."""

from __future__ import annotations

import csv
import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "src/lrpilot/recommend/data"
Row = dict[str, str]


def _words(text: str) -> list[str]:
    return text.split()


COLUMNS = _words(
    "model family architecture pretraining params_millions hidden_size method lora_rank task"
    " dataset train_examples optimizer peak_lr lr_low lr_high batch_size epochs steps schedule"
    " warmup weight_decay layerwise_decay source_repo source_path source_commit_or_url note"
    " evidence domain verified"
)
VOCABULARIES = {
    "architecture": "encoder decoder encoder-decoder vit cnn diffusion speech multimodal timeseries"
    " tabular",
    "method": "full lora qlora adapter prefix prompt bitfit linear-probe preference-full"
    " preference-lora",
    "optimizer": "adam-family sgd adafactor adafactor-relative lamb lars lion rmsprop zo-sgd",
    "evidence": "sweep-best author-recipe searched-range example-default",
    "domain": "text vision diffusion speech multimodal timeseries tabular",
    "verified": "reported literal context",
}
PRETRAININGS = {
    "self-supervised", "supervised", "contrastive", "instruction-tuned", "intermediate-task",
    "self-supervised+multitask", "contrastive image-text", "synthetic priors",
}  # fmt: skip


def _read(name: str) -> list[Row]:
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def recipes() -> list[Row]:
    return _read("recipes.csv")


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "check_evidence", ROOT / "scripts/check_evidence.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_evidence"] = module
    spec.loader.exec_module(module)
    return module


def _wrong(rows: list[Row], is_right: Callable[[Row], object]) -> list[tuple[int, str, str]]:
    """(line, model, repository) of the rows that break a rule: what a reader needs to repair."""
    return [
        (line, row["model"], row["source_repo"])
        for line, row in enumerate(rows, 2)
        if not is_right(row)
    ]


def test_table_is_broad(recipes: list[Row]) -> None:
    assert len(recipes) >= 600
    assert len({row["family"] for row in recipes}) >= 80
    assert len({row["source_repo"] for row in recipes}) >= 60


def test_columns_and_their_order(recipes: list[Row]) -> None:
    assert list(recipes[0]) == COLUMNS
    assert _wrong(recipes, lambda row: None not in row and None not in row.values()) == []


@pytest.mark.parametrize("column", VOCABULARIES)
def test_words_are_of_the_vocabulary(recipes: list[Row], column: str) -> None:
    assert _wrong(recipes, lambda row: row[column] in VOCABULARIES[column].split()) == []


def test_pretraining_is_of_the_vocabulary(recipes: list[Row]) -> None:
    assert _wrong(recipes, lambda row: row["pretraining"] in PRETRAININGS) == []


def test_every_row_names_what_it_is_about(recipes: list[Row]) -> None:
    named = ("model", "family", "task", "dataset")
    assert _wrong(recipes, lambda row: all(row[name] for name in named)) == []
    assert _wrong(recipes, lambda row: row["model"] == row["model"].lower()) == []


def test_every_row_has_provenance(recipes: list[Row]) -> None:
    def has_provenance(row: Row) -> bool:
        return bool(
            re.fullmatch(r"[\w.-]+/[\w.-]+", row["source_repo"])
            and row["source_path"]
            and not row["source_path"].startswith("/")
            and re.fullmatch(r"[0-9a-f]{40}", row["source_commit_or_url"])
        )

    assert _wrong(recipes, has_provenance) == []


def test_a_rate_or_a_range_and_never_neither(recipes: list[Row]) -> None:
    def fits(row: Row) -> bool:
        if row["evidence"] == "searched-range":
            return not row["peak_lr"] and float(row["lr_low"]) < float(row["lr_high"])
        return bool(row["peak_lr"])

    assert _wrong(recipes, fits) == []


@pytest.mark.parametrize("column", ["peak_lr", "lr_low", "lr_high"])
def test_rates_are_absolute_numbers(recipes: list[Row], column: str) -> None:
    assert _wrong(recipes, lambda row: not row[column] or 1e-9 < float(row[column]) < 1e3) == []


def test_a_winner_lies_in_its_range(recipes: list[Row]) -> None:
    def inside(row: Row) -> bool:
        if not (row["peak_lr"] and row["lr_low"]):
            return True
        return float(row["lr_low"]) <= float(row["peak_lr"]) <= float(row["lr_high"])

    assert _wrong(recipes, inside) == []


def test_parameters_are_in_millions(recipes: list[Row]) -> None:
    # The smallest checkpoint is BERT-tiny (4 M), the largest a 1 T mixture of experts.
    sizes = [row for row in recipes if row["params_millions"]]
    assert len(sizes) > 0.95 * len(recipes)
    assert _wrong(sizes, lambda row: 1 < float(row["params_millions"]) < 1.5e6) == []
    bert = {float(row["params_millions"]) for row in recipes if row["model"] == "bert-base-uncased"}
    assert bert == {110.0}


def test_a_name_with_a_size_has_that_size(recipes: list[Row]) -> None:
    def close(row: Row) -> bool:
        stated = re.findall(r"-(\d+(?:\.\d+)?)b(?=-|$)", row["model"])
        if row["architecture"] != "decoder" or not stated or not row["params_millions"]:
            return True
        return 0.6 < float(row["params_millions"]) / 1000 / float(stated[-1]) < 1.7

    assert _wrong(recipes, close) == []


def test_low_rank_methods_alone_have_a_rank(recipes: list[Row]) -> None:
    low_rank = {"lora", "qlora", "preference-lora"}
    assert _wrong(recipes, lambda row: not row["lora_rank"] or row["method"] in low_rank) == []


def test_no_row_twice(recipes: list[Row]) -> None:
    keys = Counter(tuple(row[name] for name in COLUMNS[:-1]) for row in recipes)
    assert [key for key, times in keys.items() if times > 1] == []


def test_most_rows_were_read_in_context(recipes: list[Row]) -> None:
    verified = Counter(row["verified"] for row in recipes)
    assert verified["reported"] == 0
    assert verified["context"] >= 60


def test_readme_counts_agree_with_the_table(recipes: list[Row]) -> None:
    text = (DATA / "README.md").read_text(encoding="utf-8")
    counts = {
        "rows": len(recipes),
        "families": len({row["family"] for row in recipes}),
        "models": len({row["model"] for row in recipes}),
        "sources": len({row["source_repo"] for row in recipes}),
    }
    for name, number in counts.items():
        assert f"| {name} | {number} |" in text
    for name in ("recipes.csv", "outcomes.csv", "lora_sft_grid.csv"):
        assert re.search(rf"\| `{name}` \| .* \| {len(_read(name))} \|", text), name


@pytest.mark.parametrize("column", [*VOCABULARIES, "pretraining"])
def test_readme_counts_by_column(recipes: list[Row], column: str) -> None:
    text = (DATA / "README.md").read_text(encoding="utf-8")
    cell = next(line for line in text.splitlines() if line.startswith(f"| `{column}`"))
    for word, number in Counter(row[column] for row in recipes).items():
        assert re.search(rf"(?:[:,|] ){re.escape(word)} {number}(?=[,; ])", cell), (word, number)


def test_outcomes() -> None:
    rows = _read("outcomes.csv")
    assert list(rows[0]) == _words(
        "model method task optimizer lr other_hparams metric value source_repo source_path"
    )
    assert len(rows) >= 500
    assert _wrong(rows, lambda row: row["optimizer"] in VOCABULARIES["optimizer"].split()) == []
    assert _wrong(rows, lambda row: not row["model"].startswith("unidentified")) == []
    assert _wrong(rows, lambda row: 1e-9 < float(row["lr"]) < 1e3) == []
    assert _wrong(rows, lambda row: float(row["value"]) == float(row["value"])) == []
    assert _wrong(rows, lambda row: re.fullmatch(r"[\w.-]+/[\w.-]+", row["source_repo"])) == []


def test_grid_has_losses_where_runs_finished() -> None:
    rows = _read("lora_sft_grid.csv")
    assert list(rows[0]) == _words(
        "model lr rank test_nll train_nll status batch_size steps dataset method source_repo"
        " source_path source_commit"
    )
    assert len({row["model"] for row in rows}) == 35
    for row in rows:
        assert row["status"] in {"ok", "diverged", "diverged-or-missing"}
        assert 1e-5 < float(row["lr"]) < 1e-2
        if row["status"] == "ok":
            assert 0 < float(row["test_nll"]) < 2  # the source calls a loss above 2 diverged


@pytest.mark.parametrize(
    "text",
    [
        "lr: 2e-5", "--learning_rate=2E-05", "lr = [0.00002]", "| 2.0e-5 | 64 |", "lr=.00002,",
        "lr_2e-5_wd_0.1", "a rate of 2 x 10^-5.", "$2$ x $10^{-5}$", "2*10**-5", "2e\u22125",
        "2 \u00d7 10^{-5}", '"learning_rate": 2e-5}',
    ],
)  # fmt: skip
def test_every_spelling_of_a_rate_is_found(checker: ModuleType, text: str) -> None:
    assert checker.line_with(2e-5, f"first\n{text}\n") == 2


@pytest.mark.parametrize(
    "text", ["lr: 2e-4", "lr: 12e-5", "lr: 0.000020001e3", "lr: 2.2e-5", "lr: 0.0000201", "2", ""]
)
def test_another_number_is_not_the_rate(checker: ModuleType, text: str) -> None:
    assert checker.line_with(2e-5, text) is None


def test_a_line_that_names_the_rate_comes_first(checker: ModuleType) -> None:
    text = "weight_decay: 0.01\nlearning_rate: 0.01\n"
    assert checker.line_with(0.01, text) == 2
    assert checker.line_with(0.01, "weight_decay: 0.01", beside_name=True) is None


@pytest.mark.parametrize(
    ("rate", "batch", "note", "text"),
    [
        ("0.004", "1024", "blr 0.001 x batch/256", "--blr 1e-3"),
        ("0.16", "1024", "0.005 x sqrt(batch)", "--learning_rate=0.005"),
        ("5e-05", "", "in units of 1e-5", "lr = 5"),
    ],
)
def test_scaled_rates_are_found(
    checker: ModuleType, rate: str, batch: str, note: str, text: str
) -> None:
    row = {"peak_lr": rate, "batch_size": batch, "note": note}
    assert checker.find_rates(row, text) == 1
    assert checker.find_rates(row | {"note": ""}, text) is None


def test_a_range_needs_both_its_ends(checker: ModuleType) -> None:
    row = {"peak_lr": "", "lr_low": "1e-05", "lr_high": "3e-05", "batch_size": "", "note": ""}
    assert checker.find_rates(row, "lr in 1e-5, 2e-5, 3e-5") == 1
    assert checker.find_rates(row, "lr in 1e-5, 2e-5") is None


def test_each_adafactor_row_says_its_scale_as_its_source_sets_it(recipes: list[Row]) -> None:
    """Relative by the optimizer's default, or absolute where the source switches scaling off."""
    found: dict[tuple[str, bool], set[str]] = {}
    for row in recipes:
        if row["optimizer"].startswith("adafactor"):
            key = (row["source_repo"], row["method"] == "prompt")
            found.setdefault(key, set()).add(row["optimizer"])
    relative, absolute = {"adafactor-relative"}, {"adafactor"}
    assert found == {
        ("google-research/text-to-text-transfer-transformer", False): relative,
        ("google-research/pegasus", False): relative,
        ("google-research/prompt-tuning", False): relative,  # IA3: T5X's default
        ("google-research/prompt-tuning", True): absolute,  # multiply_by_parameter_scale = False
        ("r-three/t-few", False): relative,  # scale_parameter is True by default
        ("r-three/t-few", True): absolute,  # prompts set it to false
        ("xlang-ai/UnifiedSKG", False): absolute,  # the Hugging Face trainer
        ("ise-uiuc/magicoder", False): absolute,
        ("BOULATARM/projet16-adaptive-gradient-methods-nlp", False): absolute,
    }
