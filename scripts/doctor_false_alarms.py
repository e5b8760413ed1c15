"""How often a doctor cries wolf, and how often it sees a wolf: ours and the peers', same series.

    python scripts/doctor_false_alarms.py --ours                   # simulate; keeps what is done
    python scripts/doctor_false_alarms.py --python PEERS/bin/python  # the peers
    python scripts/doctor_false_alarms.py --write                  # the tables, into the document

Counts are kept in `results/doctor/false-alarms.json`; `--ours` begins anew, since rules change.
An alarm of ours is any finding of a statistical rule, of any severity, in the whole report. Of a
peer it is a finding of level warning or worse that claims worsening, spikes, no progress or a leak
(losslint's remark on overfitting is none, then); what is true of these runs (a plateau, few
validations, noisy ones) is no alarm. In the tables of power what is said counts at any level, and
so do the false alarms beside it: healthy runs in which overfitting is named. "At its alarms" is our
power where our level is moved until we name overfitting in no more of the same healthy runs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from doctor_peers import PEERS, ask
from doctor_score import Said, head, row, said, wilson, write_between
from doctor_series import (
    HEALTHY,
    STEPS,
    Shape,
    as_history,
    as_trainer_state,
    diverging,
    overfitting,
    simulate,
    standing,
)

from lrpilot.control import Budget
from lrpilot.diagnose import RULES, Finding, Series, diagnose
from lrpilot.diagnose.rules.overfitting import RULE as OVERFITTING
from lrpilot.facts import Recommendation, RunFacts
from lrpilot.integrations._doctor import LiveDoctor
from lrpilot.metric import Evaluation

COUNTS = Path(__file__).parent.parent / "results" / "doctor" / "false-alarms.json"
NOISES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
LENGTHS = (5, 10, 20, 50, 200)
RISES = (0.03, 0.05, 0.1, 0.2, 0.5)
POWER_LENGTHS = (5, 10, 20, 50)
LIVE_SHAPES, LIVE_LOOKS = ("converged", "still improving"), 16
WORSE = {"overfitting", "lr-too-high", "loss-spikes", "divergence"}
STUCK = {"lr-too-low", "underfitting", "plateau"}
CLAIMS = {*WORSE, *STUCK, "eval-on-train", "label-leak", "loss-stairs", "fp16-overflow"}
Cell = tuple[str, str, float, int]  # kind, shape, noise, evaluations
Counts = dict[str, dict[str, list[int]]]  # cell -> doctor -> [alarms, runs]


def cells() -> Iterator[tuple[Cell, Shape]]:
    """Everything that is simulated."""
    for name, shape in HEALTHY.items():
        for sd in NOISES:
            for n in LENGTHS:
                yield ("healthy", name, sd, n), shape
    for sd in NOISES:
        for n in POWER_LENGTHS:
            yield ("named", "converged", sd, n), HEALTHY["converged"]
            for rise in RISES:
                yield ("overfitting", f"{rise:g}", sd, n), overfitting(rise)
        yield ("diverging", "1.5", sd, 20), diverging(1.5)
        yield ("diverging", "3", sd, 20), diverging(3.0)
        yield ("standing", "", sd, 20), standing()
        for name in LIVE_SHAPES:
            yield ("live", name, sd, LIVE_LOOKS), HEALTHY[name]


STATISTICAL = {rule.id for rule in RULES if rule.statistical}


def our_alarm(kind: str, found: Sequence[Said]) -> bool:
    """Whether our report counts as an alarm (healthy), or as having seen the fault."""
    names = {s.name for s in found}
    if kind == "healthy":
        return bool(names & STATISTICAL)
    return bool({w for s in found for w in (*s.means, s.name)} & _wanted(kind))


def peer_alarm(kind: str, found: Sequence[Said]) -> bool:
    """The same of a peer's."""
    if kind == "healthy":
        return any(s.loud and CLAIMS & set(s.means) for s in found)
    return any(set(s.means) & _wanted(kind) for s in found)


def _wanted(kind: str) -> set[str]:
    if kind in ("overfitting", "named"):
        return {"overfitting"}
    return {*STUCK, "no-progress"} if kind == "standing" else WORSE


def key(cell: Cell) -> str:
    """A cell's name in the file."""
    return "/".join(format(part, "g") if isinstance(part, float) else str(part) for part in cell)


def run_ours(runs: int, power_runs: int, counts: Counts) -> None:
    """Every cell, by our doctor."""
    for cell, shape in cells():
        n = runs if cell[0] in ("healthy", "named") else power_runs
        hits = 0
        for seed in range(n):
            series = simulate(shape, cell[2], cell[3], seed)
            if cell[0] == "live":
                hits += bool(watch(series) & STATISTICAL)
            else:
                hits += our_alarm(cell[0], said(diagnose(as_history(series))))
        counts.setdefault(key(cell), {})["lrpilot"] = [hits, n]
        print(f"{key(cell)}: {hits}/{n}", flush=True)
        save(counts)


def run_matched(runs: int, counts: Counts) -> None:
    """Our power at each peer's own share of false alarms, on the same draws as the peers'."""
    for sd in NOISES:
        for n in POWER_LENGTHS:
            peers = counts.get(key(("named", "converged", sd, n)), {})
            flat = sorted(doubt(HEALTHY["converged"], sd, n, seed) for seed in range(runs))
            for rise in RISES:
                found = [doubt(overfitting(rise), sd, n, seed) for seed in range(runs)]
                cell = counts.setdefault(key(("overfitting", f"{rise:g}", sd, n)), {})
                for peer in PEERS:
                    if peer in peers:
                        level = flat[peers[peer][0] * runs // peers[peer][1]]
                        cell[at_alarms_of(peer)] = [sum(p < level for p in found), runs]
            print(f"matched {sd:g}/{n}", flush=True)
            save(counts)


def doubt(shape: Shape, sd: float, n: int, seed: int) -> float:
    """The chance of a false alarm that has to be allowed for our rule to name overfitting."""
    found = OVERFITTING.check(as_history(simulate(shape, sd, n, seed)), alpha=1.0)
    return found.figures["p"] if isinstance(found, Finding) else 2.0


def at_alarms_of(peer: str) -> str:
    """What our power at a peer's share of false alarms is kept under."""
    return f"lrpilot at {peer}'s"


def watch(series: Mapping[str, Series]) -> set[str]:
    """What the live doctor says in all, looking at each validation and at the end."""
    recommended = Recommendation(peak_lr=2e-5, low=1e-5, high=5e-5)
    budget = Budget(steps=STEPS, evaluations=LIVE_LOOKS)
    doctor = LiveDoctor.of(RunFacts(), recommended, budget)
    due = dict(zip(series["eval_loss"].steps, series["eval_loss"].values, strict=True))
    train, rates = series["train_loss"], series["lr"].values
    noted = {s: (v, r) for s, v, r in zip(train.steps, train.values, rates, strict=True)}
    for step in sorted({*noted, *due}):
        if step in noted:
            loss, lr = (float(x) for x in noted[step])
            doctor.step(int(step), loss=loss, lr=lr, grad_norm=None)
        if step in due:
            doctor.validation(int(step), Evaluation.of(float(due[step])))
            doctor.look()
    doctor.finish()
    return {f.rule for f in doctor.findings}


def run_peers(python: str, runs: int, counts: Counts) -> None:
    """Every cell that is not there yet, by the peers."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}" / "trainer_state.json" for i in range(runs)]
        for path in paths:
            path.parent.mkdir()
        for cell, shape in cells():
            if cell[0] == "live" or PEERS[0] in counts.get(key(cell), {}):
                continue
            for seed, path in enumerate(paths):
                path.write_text(as_trainer_state(simulate(shape, cell[2], cell[3], seed)))
            answers = ask(python, paths)
            for peer in PEERS:
                hits = sum(peer_alarm(cell[0], answer[peer]) for answer in answers)
                counts.setdefault(key(cell), {})[peer] = [hits, runs]
            print(key(cell), {p: counts[key(cell)][p][0] for p in PEERS}, flush=True)
            save(counts)


def load() -> Counts:
    """What was counted so far."""
    counts: Counts = json.loads(COUNTS.read_text(encoding="utf-8")) if COUNTS.exists() else {}
    return counts


def save(counts: Counts) -> None:
    """One line a cell; what another process wrote of other doctors meanwhile stays."""
    for name, there in load().items():
        counts[name] = {**there, **counts.get(name, {})}
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in counts.items())
    COUNTS.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


# -- the tables -----------------------------------------------------------------------------


def percent(hits: int, n: int) -> str:
    """A share with its interval."""
    low, high = wilson(hits, n)
    return f"{100 * hits / n:.1f}% ({100 * low:.1f} to {100 * high:.1f})" if n else "-"


def pooled(counts: Counts, doctor: str, choose: Callable[[str], bool]) -> tuple[int, int]:
    """Alarms and runs over all cells of a choice."""
    found = [c[doctor] for name, c in counts.items() if choose(name) and doctor in c]
    return sum(h for h, _ in found), sum(n for _, n in found)


def healthy_tables(counts: Counts) -> list[str]:
    """Our false alarms by cell, and everybody's by noise."""
    lines = [
        "**Ours, by shape and noise**: the largest share over 5, 10, 20, 50 and 200 validations.",
        "",
    ]
    lines += head(["shape", *(f"noise {100 * sd:g}%" for sd in NOISES)])
    for shape in HEALTHY:
        texts = []
        for sd in NOISES:
            names = [key(("healthy", shape, sd, n)) for n in LENGTHS]
            every = [counts[name]["lrpilot"] for name in names if "lrpilot" in counts[name]]
            texts.append(percent(*max(every, key=lambda c: c[0] / c[1])) if every else "-")
        lines.append(row([shape, *texts]))
    lines += ["", "**Everybody, by noise**, over all lengths; converged series with independent,"
              " normal noise.", ""]  # fmt: skip
    doctors = ("lrpilot", *PEERS)
    lines += head(["noise", *doctors])
    for sd in NOISES:
        mine = f"healthy/converged/{sd:g}/"
        cells = [percent(*pooled(counts, d, lambda c, m=mine: c.startswith(m))) for d in doctors]
        lines.append(row([f"{100 * sd:g}%", *cells]))
    lines += [
        "",
        "**Everybody, by shape**, over all lengths and noises (the same draws at each noise).",
        "",
        *head(["shape", *doctors]),
    ]
    for shape in HEALTHY:
        mine = f"healthy/{shape}/"
        found = [pooled(counts, d, lambda c, m=mine: c.startswith(m)) for d in doctors]
        lines.append(row([shape, *(f"{100 * hits / n:.1f}%" if n else "-" for hits, n in found)]))
    title = f"**Ours during training**: {LIVE_LOOKS} looks and one at the end, any finding of a"
    lines += ["", f"{title} statistical rule in the whole run.", ""]
    lines += head(["shape", *(f"noise {100 * sd:g}%" for sd in NOISES)])
    for shape in LIVE_SHAPES:
        found = [counts.get(key(("live", shape, sd, LIVE_LOOKS)), {}) for sd in NOISES]
        lines.append(row([shape, *(percent(*c.get("lrpilot", (0, 0))) for c in found)]))
    return lines


def power_tables(counts: Counts) -> list[str]:
    """Who sees how much."""
    doctors = ("lrpilot", *PEERS)
    lines = [
        "",
        "**Overfitting seen**: percent of the runs in which it is named, at any level, with 95%"
        " intervals; in the rows 0 it is named falsely. Of each peer: as it comes / lrpilot, its"
        " level moved to the peer's false alarms. Bold: where the peer's interval lies above"
        " lrpilot's.",
        "",
        *head(["validations", "noise", "ends worse by", "lrpilot", *PEERS]),
    ]
    for n in POWER_LENGTHS:
        for sd in NOISES:
            for rise in (0.0, *RISES):
                kind = ("overfitting", f"{rise:g}") if rise else ("named", "converged")
                found = counts.get(key((*kind, sd, n)), {})
                ours = whole(*found["lrpilot"]) if "lrpilot" in found else "-"
                beside = [versus(found, peer) for peer in PEERS]
                lines.append(row([str(n), f"{100 * sd:g}%", f"{100 * rise:g}%", ours, *beside]))
    lines += [
        "",
        "**Divergence and no progress seen**, 20 validations.",
        "",
        *head(["what", "noise", *doctors]),
    ]
    for kind, shape, title in (("diverging", "1.5", "both losses end 1.5 times as high"),
                               ("diverging", "3", "both losses end three times as high"),
                               ("standing", "", "nothing is learnt")):  # fmt: skip
        for sd in NOISES:
            found = counts.get(key((kind, shape, sd, 20)), {})
            lines.append(row([title, f"{100 * sd:g}%", *_shares(found, doctors)]))
    return lines


def matched_table(counts: Counts) -> list[str]:
    """Power at equal false alarms, over all noises and rises: one row for each length."""
    lines = [
        "",
        "**At equal false alarms**: share of the runs that overfit in which it is named, over all"
        " noises and rises. Of each peer: its false alarms: its power as it comes / lrpilot's at"
        " the same false alarms, noise by noise; (cells of 30 in which the peer's interval lies"
        " above lrpilot's, and below).",
        "",
        *head(["validations", "lrpilot as it comes", *PEERS]),
    ]
    for n in POWER_LENGTHS:
        rises = [
            counts.get(key(("overfitting", f"{r:g}", sd, n)), {}) for sd in NOISES for r in RISES
        ]
        flats = [counts.get(key(("named", "converged", sd, n)), {}) for sd in NOISES]
        cells = [f"{mean_share(flats, 'lrpilot')}: {mean_share(rises, 'lrpilot')}"]
        for peer in PEERS:
            pairs = [(c[peer], c[at_alarms_of(peer)]) for c in rises if at_alarms_of(peer) in c]
            ahead = sum(wilson(*a)[0] > wilson(*b)[1] for a, b in pairs)
            behind = sum(wilson(*a)[1] < wilson(*b)[0] for a, b in pairs)
            power = f"{mean_share(rises, peer)} / {mean_share(rises, at_alarms_of(peer))}"
            cells.append(f"{mean_share(flats, peer)}: {power} ({ahead}, {behind})")
        lines.append(row([str(n), *cells]))
    return lines


def mean_share(found: Sequence[Mapping[str, Sequence[int]]], doctor: str) -> str:
    """The share over several cells of equal size."""
    there = [c[doctor] for c in found if doctor in c]
    return f"{100 * sum(h for h, _ in there) / max(1, sum(n for _, n in there)):.0f}%"


def whole(hits: int, n: int) -> str:
    """A share and its interval in whole percent."""
    low, high = wilson(hits, n)
    return f"{100 * hits / n:.0f} ({100 * low:.0f}-{100 * high:.0f})"


def versus(found: Mapping[str, Sequence[int]], peer: str) -> str:
    """A peer's share, and ours at its false alarms where that is known."""
    if peer not in found:
        return "-"
    text, ours = whole(*found[peer]), found.get(at_alarms_of(peer))
    if ours is None:
        return text
    ahead = wilson(*found[peer])[0] > wilson(*ours)[1]
    return f"{'**' if ahead else ''}{text} / {whole(*ours)}{'**' if ahead else ''}"


def _shares(found: Mapping[str, Sequence[int]], doctors: Sequence[str]) -> list[str]:
    return [f"{100 * found[d][0] / found[d][1]:.0f}%" if d in found else "-" for d in doctors]


def main() -> None:
    """Simulate, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ours", action="store_true", help="simulate for our doctor")
    parser.add_argument("--python", help="the python of the peers' environment: simulate for them")
    parser.add_argument("--runs", type=int, default=1000, help="runs a healthy cell, ours")
    parser.add_argument("--power-runs", type=int, default=300, help="runs a cell of power, ours")
    parser.add_argument("--peer-runs", type=int, default=200, help="runs a cell, peers")
    parser.add_argument("--write", action="store_true", help="write the tables")
    args = parser.parse_args()
    counts = load()
    if args.ours:
        run_ours(args.runs, args.power_runs, counts)
    if args.python:
        run_peers(args.python, args.peer_runs, counts)
    if args.ours or args.python:
        run_matched(args.peer_runs, counts)
    sizes = {
        kind: sorted(
            {c["lrpilot"][1] for k, c in counts.items() if k.startswith(kind) if "lrpilot" in c}
        )
        for kind in ("healthy", "overfitting", "live")
    }
    runs = "; ".join(f"{kind} {', '.join(map(str, n))}" for kind, n in sizes.items())
    peers = max(c[PEERS[0]][1] for c in counts.values() if PEERS[0] in c)
    lines = [
        f"Runs a cell: ours {runs}; peers {peers}. `python scripts/doctor_false_alarms.py --write`",
        "",
    ]
    tables = (healthy_tables(counts), matched_table(counts), power_tables(counts))
    text = "\n".join(line for part in (lines, *tables) for line in part)
    print(text)
    if args.write:
        write_between("false-alarms", text)


if __name__ == "__main__":
    main()
