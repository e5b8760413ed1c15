"""Broken, truncated, huge and hostile files: a history or one line, never a traceback."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrpilot.diagnose.history import History
from lrpilot.diagnose.readers import read
from lrpilot.errors import InputError

DATA = Path(__file__).parents[1] / "data" / "doctor"
FILES = sorted(p for p in DATA.rglob("*") if p.is_file() and p.suffix != ".ckpt")
CLOSE = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def outcome(path: Path) -> list[History] | str:
    """The histories, or the one line of the error."""
    try:
        found = read(path)
    except InputError as error:
        line = str(error)
        assert "\n" not in line
        assert len(line) < 700
        assert str(path).split("/")[-1] in line or "/" in line  # what was given
        assert ": " in line  # ... and what to do
        return line
    assert found
    return found


def refused(path: Path) -> str:
    found = outcome(path)
    assert isinstance(found, str), found
    return found


def copy_of(file: Path, folder: Path, content: bytes) -> Path:
    """The file's framework folder with this one file changed; a lone file keeps its name."""
    root = DATA / file.relative_to(DATA).parts[0]
    target = folder / root.name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(root, target)
    changed = target / file.relative_to(root)
    changed.write_bytes(content)
    return changed


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(DATA)))
def test_any_truncation(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()

    @CLOSE
    @given(st.integers(0, len(whole) - 1))
    def check(length: int) -> None:
        changed = copy_of(file, tmp_path, whole[:length])
        outcome(changed)
        outcome(changed.parent)

    check()


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(DATA)))
def test_any_damage(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()

    @CLOSE
    @given(st.integers(0, len(whole) - 1), st.binary(min_size=1, max_size=12), st.booleans())
    def check(at: int, junk: bytes, insert: bool) -> None:
        rest = whole[at:] if insert else whole[at + len(junk) :]
        outcome(copy_of(file, tmp_path, whole[:at] + junk + rest))

    check()


NAMES = ("trainer_state.json", "log.csv", "log.jsonl", "metrics.csv", "run.jsonl", "config.yaml",
         "history.json", "train.py", "events.out.tfevents.1.host.1.0", "run-a.wandb",
         "mlflow.db", "training_args.bin", "args.json")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_bytes_under_any_name(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    outcome(tmp_path / name)
    outcome(tmp_path)


STATE = '{"best_metric": null, "log_history": [%s], "global_step": 2, "max_steps": 2}'
ENTRY = '{"step": 1, "loss": 0.5}'


@pytest.mark.parametrize(
    "entries",
    [
        ENTRY + ', {"step": 2, "loss": ' + "[" * 100_000,
        ENTRY + ', {"step": 2, "loss": ' + '{"a":' * 100_000,
        ENTRY + ', {"step": 2, "loss": ' + "9" * 100_000 + "}",
        ENTRY + ', {"step": 1e308, "loss": 1}, {"step": -5, "loss": 1}',
        ENTRY + ', {"step": ' + "9" * 400 + ', "loss": 1}',
        '{"step": 1, "loss": 1, "loss": 2, "step": 3}',
        '{"step": NaN, "loss": Infinity}, {"step": 1, "loss": -Infinity}',
        '{"step": true, "loss": false}, null, 7, "x", []',
        ENTRY + "," * 1000,
        '{"step": "1", "loss": "0.5"}',
        '{"step": 1, "loss": {"a": 1}, "eval": [1, 2, {"b": 3}]}, ' + ENTRY,
    ],
)
def test_hostile_states(entries: str, tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text(STATE % entries)
    outcome(tmp_path / "trainer_state.json")


def test_a_state_that_breaks_off_gives_what_stands_before(tmp_path: Path) -> None:
    whole = STATE % ", ".join(f'{{"step": {s}, "loss": {s}}}' for s in range(1, 40))
    (tmp_path / "trainer_state.json").write_text(whole[: whole.index('"step": 30') + 8])
    (run,) = read(tmp_path)
    assert run.train_loss is not None
    assert run.train_loss.steps[-1] == 29
    assert any("breaks off" in said for said in run.unread)


def test_nan_and_infinity_are_kept(tmp_path: Path) -> None:
    text = STATE % '{"step": 1, "loss": NaN}, {"step": 2, "loss": Infinity}'
    (tmp_path / "trainer_state.json").write_text(text)
    (run,) = read(tmp_path)
    assert run.train_loss is not None
    assert [str(v) for v in run.train_loss.values] == ["nan", "inf"]


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("bomb-went-off",)


def test_no_pickle_is_ever_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trainer_state.json").write_text(STATE % ENTRY)
    (tmp_path / "training_args.bin").write_bytes(pickle.dumps(Bomb()))
    outcome(tmp_path)
    with zipfile.ZipFile(tmp_path / "training_args.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    outcome(tmp_path)
    outcome(tmp_path / "training_args.bin")
    assert not (tmp_path / "bomb-went-off").exists()


def test_yaml_bombs_and_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    head = "learning_rate: 1e-5\nmax_steps: 10\nnum_train_epochs: 1\n"
    laughs = "a0: &a0 [x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
    )
    merges = "b0: &b0 {k: 1}\n" + "".join(
        f"b{i}: &b{i} {{<<: [{', '.join([f'*b{i - 1}'] * 10)}]}}\n" for i in range(1, 12)
    )
    for text in (head + laughs, head + merges, head + "deep: " + "[" * 5000):
        (tmp_path / "config.yaml").write_text(text)
        refused(tmp_path / "config.yaml")
    for text in (head + "z: !!python/object/apply:os.mkdir [bomb]\n", head + "&a a: *a\n"):
        (tmp_path / "config.yaml").write_text(text)
        outcome(tmp_path / "config.yaml")
    assert not (tmp_path / "bomb").exists()


def event(length: int, body: bytes) -> bytes:
    return struct.pack("<QI", length, 0) + body + b"\0\0\0\0"


def test_tensorboard_lengths_that_lie(tmp_path: Path) -> None:
    start = b"\x09" + b"\0" * 8 + b"\x1a\x0dbrain.Event:2"
    scalar = bytes.fromhex("09" + "00" * 8 + "1001 2a0d 0a0b 0a046c6f7373 15 0000003f")
    good = event(len(start), start) + event(len(scalar), scalar)
    path = tmp_path / "events.out.tfevents.1.host.1.0"
    for tail in (event(2**63, scalar), event(10**9, scalar), event(5, scalar), b"\0" * 11):
        path.write_bytes(good + tail)
        (run,) = read(path)
        assert run.train_loss is not None
        assert list(run.train_loss.values) == [0.5]
        assert any("read up to" in said for said in run.unread)
    path.write_bytes(event(len(start), start))
    assert "no metric" in refused(path)


def scalar(tag: bytes, step: int, value: float) -> bytes:
    inner = b"\x0a" + bytes([len(tag)]) + tag + b"\x15" + struct.pack("<f", value)
    summary = b"\x0a" + bytes([len(inner)]) + inner
    body = b"\x09" + b"\0" * 8 + b"\x10" + bytes([step, 0x2A, len(summary)]) + summary
    return event(len(body), body)


def test_keras_event_files_of_two_folders_are_one_run(tmp_path: Path) -> None:
    start = b"\x09" + b"\0" * 8 + b"\x1a\x0dbrain.Event:2"
    for side, value in (("train", 0.5), ("validation", 0.75)):
        (tmp_path / side).mkdir()
        (tmp_path / side / "events.out.tfevents.1.host.1.0.v2").write_bytes(
            event(len(start), start) + scalar(b"epoch_loss", 1, value)
        )
    (run,) = read(tmp_path)
    assert run.train_loss is not None
    assert run.eval_loss is not None
    assert (list(run.train_loss.values), list(run.eval_loss.values)) == ([0.5], [0.75])


def test_what_could_not_be_read_beside_others_is_said(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("step,loss\n1,2\n")
    (tmp_path / "trainer_log.jsonl").write_text('{"current_steps": 1, "loss": 2}\n' + "x\n" * 99)
    (run,) = read(tmp_path)
    assert any("Left out" in said and "JSON Lines" in said for said in run.unread)


def test_a_wandb_log_with_lengths_that_lie(tmp_path: Path) -> None:
    path = tmp_path / "run-a.wandb"
    for frame in (b"\0" * 4 + b"\xff\xff\x01", b"\0" * 4 + b"\x02\x00\x01\xff\xff", b""):
        path.write_bytes(b":W&B\xe1\xbe\x00" + frame)
        assert "logged no history" in refused(path)


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    refused(tmp_path)
    refused(tmp_path / "self")
    (tmp_path / "a" / "log.csv").write_text("step,loss\n1,2\n")
    assert len(read(tmp_path)) == 1


def test_odd_places(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file nor a folder" in refused(tmp_path / "pipe")
    assert "no log and no plan" in refused(tmp_path)
    (tmp_path / "empty").write_bytes(b"")
    assert "no known format" in refused(tmp_path / "empty")
    refused(Path("a\0b"))
    (tmp_path / "trainer_state.json").mkdir()
    refused(tmp_path)


def test_a_record_of_another_version(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_text('{"kind": "run", "version": 99}\n')
    assert "update lrpilot" in refused(tmp_path)


def test_a_line_without_end(tmp_path: Path) -> None:
    with (tmp_path / "log.jsonl").open("w") as file:
        file.write('{"step": 1, "loss": 2}\n{"step": 2, "loss": "' + "x" * 17_000_000)
    assert "16 MB" in refused(tmp_path / "log.jsonl")


def test_too_many_columns(tmp_path: Path) -> None:
    names = ",".join(f"x{i}" for i in range(5000))
    row = ",".join(["1"] * 5000)
    (tmp_path / "log.csv").write_text(f"step,loss,{names}\n1,2,{row}\n2,3,{row}\n")
    (run,) = read(tmp_path / "log.csv")
    assert len(run.others) <= 2000
    assert any("2,000" in said for said in run.unread)


def test_memory_stays_bounded_by_the_numbers(tmp_path: Path) -> None:
    rows = 100_000
    numbers = rows * 4 * 2 * 8  # bytes of four series as steps and values
    with (tmp_path / "trainer_state.json").open("w") as file:
        file.write('{"best_metric": null, "log_history": [\n')
        for step in range(1, rows + 1):
            entry = {"step": step, "loss": 0.5, "learning_rate": 1e-5, "epoch": 1.0, "grad_norm": 1}
            file.write(json.dumps(entry) + (",\n" if step < rows else "\n"))
        file.write(f'], "global_step": {rows}, "max_steps": {rows}}}')
    tracemalloc.start()
    (run,) = read(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert run.train_loss is not None
    assert len(run.train_loss) == rows
    assert peak < 4 * numbers + 20_000_000
