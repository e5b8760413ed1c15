"""`lrpilot tune` from end to end on a tiny model: files, resume, interrupt, bad input."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402

from lrpilot.cli import main  # noqa: E402
from lrpilot.record import RunRecord  # noqa: E402
from lrpilot.transformers import AutopilotCallback  # noqa: E402

GOOD, BAD = ("good", "great", "nice"), ("bad", "awful", "poor")
PLAIN = ("film", "the", "a", "was", "plot", "actor")
TASK = ("--task", "text-classification")


WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *PLAIN)


def pretrained() -> object:
    """A BERT of a few thousand weights that has learned which words are good and which are bad."""
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32,
    )  # fmt: skip
    model = transformers.BertForSequenceClassification(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        words = torch.randint(11, len(WORDS), (16, 8))
        words[:, 0], words[:, -1] = 2, 3  # [CLS] and [SEP]
        words[:, 4] = torch.randint(5, 11, (16,))  # a good word or a bad one
        labels = (words[:, 4] < 8).long()
        model(input_ids=words, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That BERT with a word vocabulary, as a folder."""
    folder = tmp_path_factory.mktemp("model")
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    transformers.BertTokenizerFast(vocab=vocabulary).save_pretrained(folder)
    model = pretrained()
    model.classifier.reset_parameters()
    model.save_pretrained(folder)
    return folder


def write_table(path: Path, rows: int = 400, seed: int = 0) -> Path:
    """Sentences whose class is told by one word."""
    rng = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for _ in range(rows):
            positive = rng.random() < 0.5
            words = [*rng.choices(PLAIN, k=5), rng.choice(GOOD if positive else BAD)]
            rng.shuffle(words)
            writer.writerow([" ".join(words), "pos" if positive else "neg"])
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("data") / "train.csv")


def tune(model: Path, data: Path, output: Path, *more: str) -> int:
    return main(
        ["tune", "--model", str(model), "--data", str(data), *TASK, "--output", str(output),
         "--start-lr", "1e-3", *more]
    )  # fmt: skip


def same_story(a: Path, b: Path) -> None:
    """The two runs took the same steps, at the same rates, to the same weights."""
    first, second = RunRecord.read(a), RunRecord.read(b)
    for kind, names in (("step", ("step", "loss", "lr")), ("decision", ("step", "action", "lr"))):
        stories = [[[e[n] for n in names] for e in r.of(kind)] for r in (first, second)]
        assert stories[0] == stories[1], kind
    weights = [load_file(p / "model" / "model.safetensors") for p in (a, b)]
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name


@pytest.fixture(scope="module")
def finished(model: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "a"
    test = write_table(folder.parent / "test.csv", rows=100, seed=1)
    more = ("--steps", "150", "--test", str(test), "--baseline", "1e-5", "--start-lr", "3e-3")
    assert tune(model, data, folder, *more) == 0
    return folder


def test_a_run_leaves_its_files(finished: Path) -> None:
    assert {p.name for p in finished.iterdir()} == {
        "run.jsonl", "recommendation.json", "tune.json", "model", "report.html", "baseline",
    }  # fmt: skip
    record = RunRecord.read(finished)
    assert [e["step"] for e in record.of("step")] == list(range(1, 151))
    assert record.of("end")[0]["status"] == "finished"
    assert json.loads((finished / "recommendation.json").read_text())["peak_lr"] == 3e-3
    transformers.AutoModelForSequenceClassification.from_pretrained(finished / "model")
    transformers.AutoTokenizer.from_pretrained(finished / "model")


def doctor_s(record: Path) -> float:
    """The seconds that the live doctor took; nought only where there was none."""
    return float(RunRecord.read(record).of("end")[-1]["spent"]["doctor_s"])


def test_the_doctor_can_be_left_out_and_stays_out_after_a_resume(
    finished: Path, model: Path, data: Path, tmp_path: Path
) -> None:
    assert doctor_s(finished) > 0
    assert doctor_s(finished / "baseline") > 0
    output = tmp_path / "run"
    more = ("--steps", "400", "--no-doctor")
    process = run_process(model, data, output, *more)
    wait_for_step(output, 20, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert RunRecord.read(output).of("end")[0]["status"] == "interrupted"
    assert main(["tune", "--output", str(output), "--resume"]) == 0
    assert doctor_s(output) == 0
    assert RunRecord.read(output).of("finding") == ()


def test_the_baseline_has_no_doctor_either(model: Path, data: Path, tmp_path: Path) -> None:
    output, test = tmp_path / "run", write_table(tmp_path / "test.csv", rows=40, seed=1)
    more = ("--steps", "20", "--no-doctor", "--test", str(test), "--baseline", "1e-5")
    assert tune(model, data, output, *more) == 0
    assert doctor_s(output) == doctor_s(output / "baseline") == 0


def test_the_baseline_takes_as_many_steps_as_fitted_into_the_time(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look at the clock takes a fifth of a second, so a step takes about one."""
    looks = count()
    clock = SimpleNamespace(perf_counter=lambda: 0.2 * next(looks))
    monkeypatch.setattr("lrpilot.integrations._session.time", clock)
    written: list[Path] = []
    monkeypatch.setattr(AutopilotCallback, "save", lambda self, folder, **_: written.append(folder))
    output, test = tmp_path / "run", write_table(tmp_path / "test.csv", rows=40, seed=1)
    more = ("--steps", "300", "--max-minutes", "1", "--test", str(test), "--baseline", "1e-3")
    assert tune(model, data, output, *more) == 0
    (end,) = RunRecord.read(output).of("end")
    assert (end["status"], end["cause"]) == (
        "finished", f"{end['step']} of 300 steps were taken in the time given"
    )  # fmt: skip
    assert 10 < end["step"] < 100
    assert end["wall_s"] <= 60.0
    assert written == []  # it is over, so nothing is there to resume
    assert len(RunRecord.read(output / "baseline").of("step")) == end["step"]


def test_it_learns_and_beats_a_rate_that_is_too_low(finished: Path) -> None:
    scores = {s["name"]: s["value"] for s in RunRecord.read(finished).of("score")}
    assert scores["autopilot"] > 0.9
    assert scores["constant 1e-05, linear decay"] < 0.8


def test_the_baseline_is_a_constant_peak_with_linear_decay(finished: Path) -> None:
    steps = RunRecord.read(finished / "baseline").of("step")
    rates = [e["lr"] for e in steps]
    assert rates == pytest.approx([1e-5 * (1 - i / 150) for i in range(150)])


def test_the_saved_model_is_the_kept_state(finished: Path) -> None:
    """Its loss, computed anew from the saved files, is that of the validation that was kept."""
    record = RunRecord.read(finished)
    end = record.of("end")[0]
    there = [e["mean"] for e in record.of("evaluation") if e["step"] == end["best_step"]]
    assert end["best_value"] in there  # the last ones may be of a stretch that did not help
    model = transformers.AutoModelForSequenceClassification.from_pretrained(finished / "model")
    test = next(s for s in record.of("score") if s["name"] == "autopilot")
    with (finished.parent / "test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    tokenizer = transformers.AutoTokenizer.from_pretrained(finished / "model")
    inputs = tokenizer([row["text"] for row in rows], padding=True, return_tensors="pt")
    with torch.no_grad():
        named = [model.config.id2label[int(i)] for i in model.eval()(**inputs).logits.argmax(-1)]
    right = sum(name == row["label"] for name, row in zip(named, rows, strict=True))
    assert test["value"] == pytest.approx(right / len(rows))


def run_process(model: Path, data: Path, output: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lrpilot.cli", "tune", "--model", str(model), "--data",
               str(data), *TASK, "--output", str(output), "--start-lr", "1e-3", *more]  # fmt: skip
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip


def wait_for_step(output: Path, step: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        record = output / "run.jsonl"
        if record.exists() and record.read_text().count('"kind": "step"') >= step:
            return
        time.sleep(0.02)
    pytest.fail(f"no step {step}: {process.communicate()[0].decode()}")


@pytest.mark.parametrize("after", [7, 20])
def test_sigterm_leaves_a_checkpoint_and_resume_goes_on_to_the_same_numbers(
    after: int, model: Path, data: Path, tmp_path: Path
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    steps = ("--steps", "400")
    assert tune(model, data, whole, *steps) == 0
    process = run_process(model, data, stopped, *steps)
    wait_for_step(stopped, after, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 1
    names = {p.name for p in stopped.glob("checkpoints/step-*/*")}
    assert {p.suffix for p in map(Path, names)} == {".json", ".safetensors"}
    assert RunRecord.read(stopped).of("end")[0]["status"] == "interrupted"
    assert not (stopped / "model").exists()
    assert main(["tune", "--output", str(stopped), "--resume"]) == 0
    same_story(whole, stopped)
    assert not (stopped / "checkpoints").exists()


def test_kill_before_any_checkpoint_and_resume_starts_again(
    model: Path, data: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert tune(model, data, whole, "--steps", "80") == 0
    process = run_process(model, data, killed, "--steps", "80")
    wait_for_step(killed, 5, process)
    process.kill()
    process.communicate()
    assert main(["tune", "--output", str(killed), "--resume"]) == 0
    same_story(whole, killed)


def test_resuming_a_finished_run_changes_nothing(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    assert tune(model, data, output, "--steps", "8") == 0
    before = (output / "run.jsonl").read_bytes()
    assert main(["tune", "--output", str(output), "--resume"]) == 0
    assert (output / "run.jsonl").read_bytes() == before
    assert "finished" in capsys.readouterr().out


def rows(*lines: str) -> str:
    return "\n".join(["text,label", *lines, ""])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["empty"]),
        (rows("a,x"), ["1 examples", "at least 16"]),
        (rows(*[f"word {i},x" for i in range(40)]), ["one class", "'x'"]),
        ("a,b,c\n" + "1,2,3\n" * 40, ["--text-column", "a, b, c"]),
    ],
)
def test_bad_data_is_one_line_and_nothing_is_written(
    content: str, words: list[str], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = tmp_path / "bad.csv", tmp_path / "out"
    path.write_text(content)
    assert tune(model, path, output) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for word in words:
        assert word in error
    assert not output.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--text-column", "body"], ["no column 'body'", "text, label"]),
        (["--policy", "nosuch"], ["nosuch", "validation"]),
        (["--start-lr", "-1"], ["start_lr", "positive"]),
        (["--steps", "0"], ["steps", "positive"]),
        (["--model", "no-such-folder/x"], ["no-such-folder/x", "save_pretrained"]),
    ],
)
def test_bad_options_are_one_line_and_nothing_is_written(
    options: list[str],
    words: list[str],
    model: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out"
    assert tune(model, data, output, *options) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for word in words:
        assert word in error
    assert not output.exists()


def test_an_output_folder_in_use_is_left_alone(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    assert tune(model, data, tmp_path) == 2
    assert "in use" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_no_permission_to_write_is_one_line(
    model: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    assert tune(model, data, tmp_path / "out") == 2
    assert "no permission" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_resuming_what_is_no_run_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", "--output", str(tmp_path), "--resume"]) == 2
    assert "no run to resume" in capsys.readouterr().err


def test_a_full_disk_costs_the_checkpoint_not_the_run(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrpilot.integrations import _checkpoint
    from lrpilot.integrations import transformers as host
    from lrpilot.tune import files

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(host, "save_file", full)
    monkeypatch.setattr(_checkpoint, "save_file", full)
    monkeypatch.setattr(files, "INTERVAL_S", 0.0)
    monkeypatch.setattr(files.RunFiles.__init__, "__kwdefaults__", {"interval_s": 0.0})
    with pytest.warns(UserWarning, match="no checkpoint at step"):
        assert tune(model, data, tmp_path / "out", "--steps", "6") == 0
    assert (tmp_path / "out" / "model").is_dir()
