"""Four doctors from PyPI on the same corpus, side by side with ours.

    python -m venv peers && peers/bin/pip install numpy --no-deps \\
        finetune-doctor==0.2.2 trainspotter==0.2.6 trainproof==0.22.0 losslint==0.4.1
    python scripts/doctor_peers.py --python peers/bin/python [--write] [--misses NAME]

They see what their authors made them for: the log, a bare `trainer_state.json`, with defaults.
Each of their checks is translated into all the words of our labels that it could be meant by
(`MEANS`), so that they are given the benefit of the doubt.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from doctor_score import (
    CORPUS,
    UNSEEN,
    Said,
    head,
    judge,
    labels,
    ours,
    row,
    summary,
    write_between,
)

WORKER = Path(__file__).parent / "doctor_peers_worker.py"
PEERS = ("finetune-doctor", "trainspotter", "trainproof", "losslint")
VERSIONS = {"finetune-doctor": "0.2.2", "trainspotter": "0.2.6", "trainproof": "0.22.0",
            "losslint": "0.4.1"}  # fmt: skip
STUCK = ("lr-too-low", "underfitting", "plateau", "lr-too-high", "optimizer-rate", "lora-rate")
SPIKES = ("loss-spikes", "lr-too-high")
OVERFLOW = ("not-finite", "fp16-overflow")
LEAKS = ("eval-on-train", "label-leak", "eval-below-train")
LOW = ("plateau", "lr-too-low", "underfitting", "optimizer-rate", "lora-rate")
# (doctor, check, word in its title or ""): labels' words; the first line that fits counts.
MEANS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("finetune-doctor", "overfitting", "", ("overfitting",)),
    ("finetune-doctor", "no_eval", "No evaluation", ("no-validation",)),
    ("finetune-doctor", "no_eval", "", ("eval-too-rare",)),
    ("finetune-doctor", "stopped_improving", "", ("plateau",)),
    ("finetune-doctor", "metric_disagreement", "", ("metric-direction",)),
    ("finetune-doctor", "loss_degenerate", "", ("not-finite", "label-leak")),
    ("finetune-doctor", "not_learning", "went up", ("lr-too-high", "not-finite")),
    ("finetune-doctor", "not_learning", "", STUCK),
    ("finetune-doctor", "loss_spikes", "epoch", ("loss-stairs", "overfitting")),
    ("finetune-doctor", "loss_spikes", "", SPIKES),
    ("finetune-doctor", "lr_schedule", "", ("schedule-mismatch",)),
    ("finetune-doctor", "gradients", "NaN", OVERFLOW),
    ("finetune-doctor", "gradients", "overflow", OVERFLOW),
    ("finetune-doctor", "gradients", "Zero", ("frozen-parameters", "not-finite")),
    ("finetune-doctor", "gradients", "", SPIKES),
    ("finetune-doctor", "eval_below_train", "", LEAKS),
    ("finetune-doctor", "incomplete", "", ("budget-too-short",)),
    ("trainspotter", "spikes", "", SPIKES),
    ("trainspotter", "divergence", "non-finite", OVERFLOW),
    ("trainspotter", "divergence", "eval", ("lr-too-high", "overfitting")),
    ("trainspotter", "divergence", "", ("lr-too-high",)),
    ("trainspotter", "plateau", "", LOW),
    ("trainspotter", "overfitting", "", ("overfitting",)),
    ("trainspotter", "lr_schedule", "warmup", ("no-warmup",)),
    ("trainspotter", "lr_schedule", "", ("lr-restarted", "schedule-mismatch")),
    ("trainspotter", "grad_norm", "clipping", ("clipping-always",)),
    ("trainspotter", "grad_norm", "", SPIKES),
    ("trainspotter", "eval_noise", "", ("eval-too-small",)),
    ("trainspotter", "loss_floor", "", ("label-leak", "eval-on-train")),
    ("trainproof", "TP-NAN", "", OVERFLOW),
    ("trainproof", "TP-NAN-GRAD", "", OVERFLOW),
    ("trainproof", "TP-ZERO-LOSS", "", ("not-finite", "label-leak")),
    ("trainproof", "TP-ZERO-LOSS-ONSET", "", ("not-finite", "label-leak")),
    ("trainproof", "TP-FLAT", "", STUCK),
    ("trainproof", "TP-DIVERGE", "", ("lr-too-high",)),
    ("trainproof", "TP-DEAD-RUN", "", STUCK),
    ("trainproof", "TP-ZERO-GRAD", "", ("frozen-parameters", "not-finite")),
    ("trainproof", "TP-GRAD-SPIKE", "", SPIKES),
    ("trainproof", "TP-ZERO-LR", "", ("schedule-mismatch",)),
    ("trainproof", "TP-ZERO-LR-PARTIAL", "", ("schedule-mismatch",)),
    ("trainproof", "TP-OVERFIT", "", ("overfitting",)),
    ("losslint", "nan_inf", "", OVERFLOW),
    ("losslint", "step_backtrack", "", ("lr-restarted",)),
    ("losslint", "loss_spike", "", SPIKES),
    ("losslint", "divergence", "", ("lr-too-high",)),
    ("losslint", "overfit_onset", "", ("overfitting",)),
    ("losslint", "stagnation", "", STUCK),
)  # fmt: skip


def translate(doctor: str, check: str, level: str, title: str) -> Said:
    """One finding of a peer in the labels' words; a check that has none of them means nothing."""
    for name, known, word, means in MEANS:
        if name == doctor and known == check and word.lower() in title.lower():
            return Said(means, level, check)
    return Said((), level, check)


def ask(python: str, paths: Sequence[Path]) -> list[dict[str, list[Said]]]:
    """What each peer says of each log."""
    done = subprocess.run(
        [python, str(WORKER)],
        input="".join(f"{path}\n" for path in paths),
        capture_output=True,
        text=True,
        check=True,
    )
    answers: list[Mapping[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    return [{d: [translate(d, *f) for f in found] for d, found in a.items()} for a in answers]


def main() -> None:
    """Print, and write if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", required=True, help="the python of the peers' environment")
    parser.add_argument("--write", action="store_true", help="write into the evidence document")
    parser.add_argument("--unseen", action="store_true", help="of results/doctor/unseen")
    parser.add_argument("--misses", help="print every miss and false alarm of this peer")
    args = parser.parse_args()
    corpus = UNSEEN if args.unseen else CORPUS
    known = labels(corpus)
    answers = ask(args.python, [corpus / name / "trainer_state.json" for name in known])
    views = {
        peer: [
            judge(name, label, answer[peer], with_plan=False)
            for (name, label), answer in zip(known.items(), answers, strict=True)
        ]
        for peer in PEERS
    }
    for v in views.get(args.misses, []):
        for missed in v.missed:
            print(f"MISS  {v.name}: {missed}")
        for s in v.wrong:
            print(f"FALSE {v.name}: {s.name} ({s.level})")
    views = {"lrpilot": ours(corpus, with_plan=False), **views}
    sums = {name: summary(verdicts) for name, verdicts in views.items()}
    titles = [f"{name} {VERSIONS.get(name, '')}".strip() for name in sums]
    lines = [
        f"{len(known)} histories, the log alone."
        " `python scripts/doctor_peers.py --python PEERS/bin/python"
        f"{' --unseen' if args.unseen else ''} --write`",
        "",
        *head(["", *titles]),
        *(row([key, *(s[key] for s in sums.values())]) for key in sums["lrpilot"]),
        "",
        "Found, by mistake:",
        "",
        *head(["mistake", *titles]),
    ]
    for mistake in sorted({v.mistake for v in views["lrpilot"] if v.groups}):
        cells = []
        for verdicts in views.values():
            these = [v for v in verdicts if v.mistake == mistake]
            cells.append(f"{sum(v.hit for v in these)}/{sum(v.groups for v in these)}")
        lines.append(row([mistake, *cells]))
    text = "\n".join(lines)
    print(text)
    if args.write:
        write_between("peers-unseen" if args.unseen else "peers", text)


if __name__ == "__main__":
    main()
