"""The record outlives crashes, full disks and resumes."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lrpilot.errors import RecordError
from lrpilot.record import RecordWriter, RunRecord


def written(path: Path, steps: int = 3) -> Path:
    writer = RecordWriter(path)
    writer.write("run", version=1, policy="x")
    for step in range(1, steps + 1):
        writer.write("step", step=step, loss=1.0 / step)
    writer.close()
    return path


def test_events_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    writer = RecordWriter(path)
    writer.write("run", version=1)
    writer.write("step", step=1, loss=math.nan, lr=math.inf, more=[-math.inf, {"a": None}, "é\n"])
    writer.close()
    event = RunRecord.read(path).events[0]
    assert math.isnan(event["loss"])
    assert (event["lr"], event["more"]) == (math.inf, [-math.inf, {"a": None}, "é\n"])
    for line in path.read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_half_written_last_line_is_dropped_and_cut_off(tmp_path: Path) -> None:
    path = written(tmp_path / "run.jsonl")
    with path.open("a") as file:
        file.write('{"kind": "step", "st')
    assert len(RunRecord.read(path).of("step")) == 3
    writer = RecordWriter(path)
    writer.write("step", step=4)
    writer.close()
    assert [e["step"] for e in RunRecord.read(tmp_path).of("step")] == [1, 2, 3, 4]


def test_a_broken_line_in_the_middle_is_damage(tmp_path: Path) -> None:
    path = written(tmp_path / "run.jsonl")
    lines = path.read_text().splitlines()
    lines[2] = lines[2][:-5]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(RecordError, match="line 3"):
        RunRecord.read(path)


def test_a_resume_makes_later_steps_void(tmp_path: Path) -> None:
    path = written(tmp_path / "run.jsonl", steps=5)
    writer = RecordWriter(path)
    writer.write("resume", step=2)
    writer.write("step", step=3, loss=0.0)
    writer.close()
    assert [(e["step"], e["loss"]) for e in RunRecord.read(path).of("step")] == [
        (1, 1.0), (2, 0.5), (3, 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no run header"),
        ('{"kind": "step", "step": 1}\n', "no run header"),
        ('{"kind": "run", "version": 99}\n', "version 99"),
        ('{"kind": "run", "version": 1}\n[1]\n{}\n', "line 2"),
    ],
)
def test_what_is_no_record_is_refused(content: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(content)
    with pytest.raises(RecordError, match=words):
        RunRecord.read(path)


def test_a_missing_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        RunRecord.read(tmp_path)


def test_kill_9_loses_the_line_in_hand_at_most(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    code = (
        "import sys; from lrpilot.record import RecordWriter\n"
        "w = RecordWriter(sys.argv[1]); w.write('run', version=1)\n"
        "for i in range(10**9):\n"
        "    w.write('step', step=i + 1, loss=0.5)\n"
        "    print(i + 1, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(200):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    said = process.communicate()[0].split()
    told = int(said[-1]) if said else 200
    steps = [e["step"] for e in RunRecord.read(path).of("step")]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= told


def test_a_full_disk_delays_lines_and_warns_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "run.jsonl")
    writer = RecordWriter(path)
    whole = path.stat().st_size

    class Full:
        """A file on a full disk: half of what is written arrives."""

        def __init__(self, file: Any) -> None:
            self._file = file

        def write(self, data: bytes) -> int:
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            self._file.close()

    opened = Path.open
    monkeypatch.setattr(writer, "_file", Full(writer._file))
    monkeypatch.setattr(Path, "open", lambda p, *a, **k: Full(opened(p, *a, **k)))
    with pytest.warns(UserWarning, match="cannot be written"):
        writer.write("step", step=4)
    writer.write("step", step=5)  # no second warning: that would be an error here
    assert path.stat().st_size == whole
    monkeypatch.setattr(Path, "open", opened)
    writer.write("step", step=6)
    writer.close()
    assert [e["step"] for e in RunRecord.read(path).of("step")] == [1, 2, 3, 4, 5, 6]


def test_no_path_keeps_nothing() -> None:
    writer = RecordWriter(None)
    writer.write("run", version=1)
    writer.close()
