"""What reading a log of a million optimizer steps costs, a fresh process for each format.

    python benchmarks/doctor_readers.py [--steps 1000000]

Each log has a training loss, a rate and a gradient norm a step and a validation every thousand
steps. Printed are seconds of processor time, peak memory above that of the bare process, the
file's size, and the time over that of `json.loads` on one such row (a ratio that another machine
can be compared by).
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def rows(steps: int) -> Iterator[Row]:
    noise = random.Random(0)
    for step in range(1, steps + 1):
        yield {"epoch": step / steps, "grad_norm": noise.random(), "learning_rate": 1e-5,
               "loss": noise.random(), "step": step}  # fmt: skip
        if step % 1000 == 0:
            yield {"epoch": step / steps, "eval_loss": 0.5, "step": step}


def trainer_state(folder: Path, steps: int) -> Path:
    path = folder / "trainer_state.json"
    with path.open("w") as file:
        file.write('{"best_metric": null,\n "log_history": [')
        for number, row in enumerate(rows(steps)):
            file.write((",\n" if number else "\n") + json.dumps(row, indent=2))
        file.write(f'],\n "global_step": {steps}, "max_steps": {steps}}}')
    return path


def json_lines(folder: Path, steps: int) -> Path:
    path = folder / "log.jsonl"
    with path.open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows(steps))
    return path


def table(folder: Path, steps: int) -> Path:
    path = folder / "log.csv"
    names = ("step", "epoch", "loss", "learning_rate", "grad_norm", "eval_loss")
    with path.open("w") as file:
        file.write(",".join(names) + "\n")
        file.writelines(",".join(str(r.get(n, "")) for n in names) + "\n" for r in rows(steps))
    return path


def lightning(folder: Path, steps: int) -> Path:
    made = table(folder, steps)
    return made.rename(folder / "metrics.csv")


def record(folder: Path, steps: int) -> Path:
    path = folder / "run.jsonl"
    header = {"kind": "run", "version": 1, "facts": {}, "recommendation": {"peak_lr": 1e-5},
              "budget": {"steps": steps, "evaluations": 16}, "metric": {"mode": "min"}}  # fmt: skip
    with path.open("w") as file:
        file.write(json.dumps(header) + "\n")
        for row in rows(steps):
            kind = "step" if "loss" in row else "evaluation"
            line = {"kind": kind, "step": row["step"], "loss": row.get("loss"), "lr": 1e-5,
                    "grad_norm": row.get("grad_norm"), "mean": 0.5, "n": 10}  # fmt: skip
            file.write(json.dumps(line) + "\n")
    return path


def keras(folder: Path, steps: int) -> Path:
    path = folder / "history.json"
    loss = [r["loss"] for r in rows(steps) if "loss" in r]
    path.write_text(json.dumps({"loss": loss, "val_loss": loss, "learning_rate": loss}))
    return path


def events(folder: Path, steps: int) -> Path:
    path = folder / "events.out.tfevents.1.host.1.0"
    with path.open("wb") as file:
        first = b"\x09" + b"\0" * 8 + b"\x1a\x0dbrain.Event:2"
        file.write(struct.pack("<QI", len(first), 0) + first + b"\0" * 4)
        for row in rows(steps):
            for name in ("loss", "learning_rate", "grad_norm", "eval_loss"):
                if name in row:
                    value = b"\x0a" + _sized(name.encode()) + b"\x15" + struct.pack("<f", row[name])
                    summary = b"\x0a" + _sized(value)
                    event = (b"\x09" + b"\0" * 8 + b"\x10" + _varint(row["step"]) + b"\x2a"
                             + _sized(summary))  # fmt: skip
                    file.write(struct.pack("<QI", len(event), 0) + event + b"\0" * 4)
    return path


def wandb(folder: Path, steps: int) -> Path:
    path = folder / "run-a.wandb"
    with path.open("wb") as file:
        file.write(b":W&B\xe1\xbe\x00")
        left = 32_768 - 7
        for row in rows(steps):
            items = b"".join(
                b"\x0a" + _sized(b"\x12" + _sized(k.encode()) + b"\x82\x01"
                                 + _sized(json.dumps(v).encode())) for k, v in row.items()
            )  # fmt: skip
            data = b"\x12" + _sized(items)
            if left < 7 + len(data):
                file.write(b"\0" * left)
                left = 32_768
            file.write(struct.pack("<IHB", 0, len(data), 1) + data)
            left -= 7 + len(data)
    return path


def mlflow(folder: Path, steps: int) -> Path:
    path = folder / "mlflow.db"
    with sqlite3.connect(path) as database:
        database.execute("create table runs (run_uuid, status, start_time)")
        database.execute("create table params (run_uuid, key, value)")
        database.execute("create table metrics (run_uuid, key, value, timestamp, step, is_nan)")
        database.execute("insert into runs values ('a', 'FINISHED', 0)")
        database.executemany(
            "insert into metrics values ('a', ?, ?, ?, ?, 0)",
            ((n, r[n], r["step"], r["step"]) for r in rows(steps)
             for n in ("loss", "learning_rate", "grad_norm", "eval_loss") if n in r),
        )  # fmt: skip
    return path


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


WRITERS: dict[str, Callable[[Path, int], Path]] = {
    "trainer_state.json": trainer_state, "JSON Lines": json_lines, "CSV": table,
    "Lightning metrics.csv": lightning, "lrpilot run.jsonl": record, "Keras history": keras,
    "TensorBoard (3 scalars a step)": events, "W&B .wandb": wandb, "MLflow SQLite": mlflow,
}  # fmt: skip


def peak_kb() -> int:
    """Peak memory of this process; Linux' `ru_maxrss` may be that of the process it came from."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(ln for ln in status.read_text().splitlines() if ln.startswith("VmHWM"))
        return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def child(path: str) -> None:
    """Read in this process and print what it took."""
    from lrpilot.diagnose.readers import read

    before = peak_kb()
    start = time.process_time()
    (run,) = read(path)
    seconds = time.process_time() - start
    peak = peak_kb() - before
    print(json.dumps([seconds, peak / 1024, 0 if run.train_loss is None else len(run.train_loss)]))


def one_row_s() -> float:
    """Seconds of `json.loads` on one row."""
    text = json.dumps(next(rows(1)))
    start = time.process_time()
    for _ in range(200_000):
        json.loads(text)
    return (time.process_time() - start) / 200_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        child(chosen.child)
        return
    unit = one_row_s()
    print(f"one row by json.loads: {unit * 1e6:.2f} us\n")
    print("| format | file, MB | seconds | memory, MB | times json.loads of a row |")
    print("|---|---|---|---|---|")
    for name, write in WRITERS.items():
        with tempfile.TemporaryDirectory() as scratch:
            path = write(Path(scratch), chosen.steps)
            size = path.stat().st_size / 1e6
            command = [sys.executable, __file__, "--child", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds, peak, found = json.loads(done.stdout)
            assert found == chosen.steps, (name, found)
            ratio = seconds / chosen.steps / unit
            print(f"| {name} | {size:.0f} | {seconds:.1f} | {peak:.0f} | {ratio:.1f} |", flush=True)


if __name__ == "__main__":
    main()
