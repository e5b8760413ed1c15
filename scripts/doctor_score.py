"""Score the doctor on the corpus: recall by mistake, precision by rule, false alarms.

    python scripts/doctor_score.py            # print the tables
    python scripts/doctor_score.py --write    # and put them into docs/doctor-evidence.md
    python scripts/doctor_score.py --misses   # and every miss and false alarm, one a line
    python scripts/doctor_score.py --unseen   # of the runs that no rule was tuned on

Each history is judged twice: from the log alone, as other doctors see it, and with the plan
beside it. A finding counts as right if its rule is in a `must` group or in `may` of that history.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lrpilot.diagnose import Diagnosis, Group, History, diagnose
from lrpilot.diagnose.readers import read
from lrpilot.diagnose.readers.plans import join, make_plan

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results" / "doctor"
CORPUS, UNSEEN, LABELS = RESULTS / "corpus", RESULTS / "unseen", RESULTS / "labels.json"
DOCUMENT = ROOT / "docs" / "doctor-evidence.md"
ARTICLE = ("lr-too-high", "no-validation", "no-schedule")
# What rules of ours that the labels do not know may mean in the labels' words.
NAMES: Mapping[str, tuple[str, ...]] = {
    "loss-oscillates": ("lr-too-high", "loss-spikes"),
    "lr-above-band": ("lr-too-high", "optimizer-rate", "lora-rate"),
    "lr-below-band": ("lr-too-low", "optimizer-rate", "lora-rate"),
    "nothing-trains": ("lr-too-low", "underfitting", "frozen-parameters"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """One finding of any doctor: the labels' words that it may mean, and how loud it is."""

    means: tuple[str, ...]
    level: str
    name: str

    @property
    def loud(self) -> bool:
        """Whether it is more than a remark."""
        return self.level in ("warning", "error")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one history's findings compare with its label."""

    name: str
    mistake: str
    groups: int
    hit: int
    missed: tuple[str, ...]
    wrong: tuple[Said, ...]
    right: tuple[Said, ...]


def labels(corpus: Path = CORPUS) -> dict[str, dict[str, Any]]:
    """The labels of the histories that are there.

    A run whose end is worse than its best, by a test over validation examples, may be called
    overfitting, whatever its mistake.
    """
    found = json.loads(LABELS.read_text(encoding="utf-8"))
    file = RESULTS / f"{corpus.name}-truth.json"
    truth = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in found.keys() & truth.keys():
        if truth[name]["worse"]:
            found[name]["may"].append("overfitting")
    return {k: v for k, v in found.items() if (corpus / k / "plan.json").exists()}


def history(folder: Path, *, with_plan: bool) -> History:
    """One history of the corpus, read by the doctor's own reader."""
    (found,) = read(folder / "trainer_state.json")
    if not with_plan:
        return found
    data = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    groups = tuple(Group(**group) for group in data.pop("groups", ()))
    plan = make_plan({**data.pop("facts"), **data, "groups": groups or None})
    return replace(found, plan=join(plan, found.plan))


def said(diagnosis: Diagnosis) -> list[Said]:
    """Our own findings in the labels' words."""
    return [Said(NAMES.get(f.rule, (f.rule,)), f.severity, f.rule) for f in diagnosis.findings]


def judge(
    name: str, label: Mapping[str, Any], found: Sequence[Said], *, with_plan: bool
) -> Verdict:
    """Compare findings with a label."""
    must: list[list[str]] = label["must" if with_plan else "must_log_only"]
    allowed = {rule for group in label["must"] for rule in group} | set(label["may"])
    meant = {word for s in found for word in s.means}
    missed = tuple("|".join(group) for group in must if not meant & set(group))
    right = tuple(s for s in found if allowed & set(s.means))
    wrong = tuple(s for s in found if not allowed & set(s.means))
    return Verdict(name, label["mistake"], len(must), len(must) - len(missed), missed, wrong, right)


def ours(corpus: Path = CORPUS, *, with_plan: bool) -> list[Verdict]:
    """The whole corpus, judged by lrpilot."""
    verdicts = []
    for name, label in labels(corpus).items():
        found = said(diagnose(history(corpus / name, with_plan=with_plan)))
        verdicts.append(judge(name, label, found, with_plan=with_plan))
    return verdicts


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """95% interval of a share (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    p, shrink = hits / n, 1 + z * z / n
    middle = (p + z * z / (2 * n)) / shrink
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / shrink
    return max(0.0, middle - half), min(1.0, middle + half)


def share(hits: int, n: int) -> str:
    """A share with its interval."""
    if n == 0:
        return "-"
    low, high = wilson(hits, n)
    return f"{hits}/{n} = {100 * hits / n:.0f}% ({100 * low:.0f} to {100 * high:.0f})"


def row(cells: Iterable[str]) -> str:
    """One line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def head(cells: Sequence[str]) -> list[str]:
    """The first two lines of a Markdown table."""
    return [row(cells), row(["---"] * len(cells))]


def summary(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """The figures that the side-by-side table shows, for one doctor."""
    fine = [v for v in verdicts if v.mistake == "healthy"]
    wrong = sum(s.loud for v in verdicts for s in v.wrong)
    right = sum(s.loud for v in verdicts for s in v.right)
    article = [v for v in verdicts if v.mistake in ARTICLE]
    return {
        "recall, all mistakes": share(
            sum(v.hit for v in verdicts), sum(v.groups for v in verdicts)
        ),
        "recall, the article's three": share(
            sum(v.hit for v in article), sum(v.groups for v in article)
        ),
        "precision of warnings and errors": share(right, right + wrong),
        "healthy runs with a false warning or error": share(
            sum(any(s.loud for s in v.wrong) for v in fine), len(fine)
        ),
        "healthy runs with any false remark": share(sum(bool(v.wrong) for v in fine), len(fine)),
    }


def by_mistake(views: Mapping[str, Sequence[Verdict]]) -> list[str]:
    """Recall of each mistake, a column for each view."""
    lines = head(["mistake", "histories", *(f"found, {name}" for name in views)])
    for mistake in sorted({v.mistake for vs in views.values() for v in vs} - {"healthy"}):
        cells, n = [], 0
        for verdicts in views.values():
            these = [v for v in verdicts if v.mistake == mistake]
            n = len(these)
            asked = sum(v.groups for v in these)
            cells.append(f"{sum(v.hit for v in these)}/{asked}" if asked else "needs the plan")
        lines.append(row([mistake, str(n), *cells]))
    return lines


def by_rule(verdicts: Sequence[Verdict]) -> list[str]:
    """Precision of each rule."""
    right = Counter(s.name for v in verdicts for s in v.right)
    wrong = Counter(s.name for v in verdicts for s in v.wrong)
    where: dict[str, set[str]] = defaultdict(set)
    for v in verdicts:
        for s in v.wrong:
            where[s.name].add(v.mistake)
    lines = head(["rule", "right", "wrong", "wrong in"])
    lines += [
        row([rule, str(right[rule]), str(wrong[rule]), ", ".join(sorted(where[rule]))])
        for rule in sorted({*right, *wrong})
    ]
    return lines


def write_between(marker: str, text: str, document: Path = DOCUMENT) -> None:
    """Put text between `<!-- marker: begin -->` and `<!-- marker: end -->` of the document."""
    begin, end = f"<!-- {marker}: begin -->", f"<!-- {marker}: end -->"
    before, rest = document.read_text(encoding="utf-8").split(begin)
    document.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def main() -> None:
    """Print, and write if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write into {DOCUMENT.name}")
    parser.add_argument("--unseen", action="store_true", help="score results/doctor/unseen")
    parser.add_argument("--misses", action="store_true", help="print every miss and false alarm")
    args = parser.parse_args()
    corpus = UNSEEN if args.unseen else CORPUS
    views = {
        "log and plan": ours(corpus, with_plan=True),
        "log alone": ours(corpus, with_plan=False),
    }
    sums = {name: summary(verdicts) for name, verdicts in views.items()}
    count = len(views["log alone"])
    healthy = sum(v.mistake == "healthy" for v in views["log alone"])
    lines = [
        f"{count} histories, {healthy} of them healthy. `python scripts/doctor_score.py"
        f"{' --unseen' if args.unseen else ''} --write`",
        "",
    ]
    lines += head(["", *sums])
    lines += [row([key, *(s[key] for s in sums.values())]) for key in sums["log alone"]]
    lines += [
        "",
        *by_mistake(views),
        "",
        'Each rule, with log and plan; "right" holds true side effects too:',
        "",
    ]
    lines += by_rule(views["log and plan"])
    text = "\n".join(lines)
    print(text)
    if args.misses:
        for view, verdicts in views.items():
            for v in verdicts:
                for missed in v.missed:
                    print(f"MISS  [{view}] {v.name}: {missed}")
                for s in v.wrong:
                    print(f"FALSE [{view}] {v.name}: {s.name} ({s.level})")
    if args.write:
        write_between("score-unseen" if args.unseen else "score", text)


if __name__ == "__main__":
    main()
