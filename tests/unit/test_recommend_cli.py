"""`lrpilot recommend` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lrpilot.cli import main
from lrpilot.cli.recommend import read_count
from lrpilot.errors import InputError


def test_text_fits_eighty_columns_and_has_no_escapes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert (
        main(["recommend", "--model", "roberta-large", "--task", "nli", "--batch-size", "32"]) == 0
    )
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "because" in text
    assert "https://github.com/" in text
    long = [line for line in text.splitlines() if len(line) > 80 and "http" not in line]
    assert long == []


def test_json_is_one_document_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", "--model", "bert", "--task", "sentiment", "--format", "json"]) == 0
    captured = capsys.readouterr()
    data = json.loads(captured.out)
    assert captured.err == ""
    assert data["peak_lr"] == 1e-5
    assert data["facts"]["model"] == "bert"
    assert data["sources"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--model", "bert", "--method", "magic"],
        ["--model", "bert", "--lora-rank", "8"],
        ["--model", "bert", "--params", "many"],
        ["--model", "bert", "--train-examples", "-3"],
        ["--model", "bert", "--classes", "1"],
        ["--model", "./absent-folder"],
        ["--model", "bert", "--data", "absent.csv"],
    ],
)
def test_bad_input_is_one_line_and_status_two(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recommend", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1


def test_a_folder_and_a_data_file_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"model_type": "roberta", "hidden_size": 768, "num_hidden_layers": 12}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "data.csv").write_text(
        "text,label\n" + "".join(f"t{i},{i % 2}\n" for i in range(50))
    )
    assert main(["recommend", "--model", str(tmp_path), "--task", "sentiment", "--data",
                 str(tmp_path / "data.csv"), "--format", "json"]) == 0  # fmt: skip
    data = json.loads(capsys.readouterr().out)
    assert data["facts"]["family"] == "roberta"
    assert (data["facts"]["train_examples"], data["facts"]["classes"]) == (50, 2)
    assert data["basis"] == "family"


@pytest.mark.parametrize(
    ("text", "value"), [("110M", 1.1e8), ("7b", 7e9), ("2.5e8", 2.5e8), ("1.5 B", 1.5e9)]
)
def test_counts_have_units(text: str, value: float) -> None:
    assert read_count(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "M", "-5", "1.2.3", "7x", "0", "1e999"])
def test_other_counts_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="params is"):
        read_count(text)


def test_neither_torch_nor_pandas_nor_scipy_is_imported() -> None:
    code = (
        "import sys; from lrpilot.cli import main; main(['recommend', '--model',"
        " 'bert-base-uncased', '--task', 'sentiment', '--format', 'json']);"
        " print({'torch', 'pandas', 'scipy'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"


def test_a_folder_that_shares_a_models_name_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bert").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["recommend", "--model", "bert", "--task", "sentiment", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["basis"] == "article"
