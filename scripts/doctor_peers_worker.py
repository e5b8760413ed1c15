"""Ask four doctors from PyPI about logs; runs in an environment of their own, without lrpilot.

Reads the path of one `trainer_state.json` a line from standard input, and answers each with one
line of JSON: {"doctor": [[check, level, title], ...], ...}. Each doctor is called through its own
public API with its defaults; a crash of it is reported as the check "crash".
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import finetune_doctor
import trainspotter
from losslint.checks import run_all_checks
from losslint.parsing import load_run
from trainproof.epoch import check_epoch

FINETUNE_DOCTOR = {"INFO": "info", "WARNING": "warning", "CRITICAL": "error"}
TRAINPROOF = {"WARN": "warning", "FAIL": "error", "INFO": "info"}
SILENT = ("TP-PASS", "TP-NOT-CHECKED")


def ask_finetune_doctor(path):
    found = finetune_doctor.diagnose(finetune_doctor.load(path)).findings
    return [[f.check, FINETUNE_DOCTOR[f.severity.name], f.title] for f in found if f.severity > 0]


def ask_trainspotter(path):
    found = trainspotter.run_all(trainspotter.load_run(path))
    return [[f.detector, f.severity, f"{f.title} [{f.metric}]"] for f in found]


def ask_trainproof(path):
    found = check_epoch(path)["findings"]
    return [[f["id"], TRAINPROOF.get(f["level"], "info"), ""] for f in found
            if f["id"] not in SILENT and f["level"] != "PASS"]  # fmt: skip


def ask_losslint(path):
    return [[f.check, f.severity, ""] for f in run_all_checks(load_run(Path(path)))]


DOCTORS = {
    "finetune-doctor": ask_finetune_doctor,
    "trainspotter": ask_trainspotter,
    "trainproof": ask_trainproof,
    "losslint": ask_losslint,
}


def main():
    for line in sys.stdin:
        answer = {}
        for name, ask in DOCTORS.items():
            try:
                answer[name] = ask(line.strip())
            except Exception as error:
                answer[name] = [["crash", "error", repr(error)[:200]]]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
