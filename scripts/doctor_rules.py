"""The table of the doctor's rules, out of the rules themselves.

python scripts/doctor_rules.py            # print it
python scripts/doctor_rules.py --write    # and put it into docs/doctor.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lrpilot.diagnose import RULES, Rule

DOCUMENT = Path(__file__).parent.parent / "docs" / "doctor.md"
BEGIN, END = "<!-- rules: begin -->\n", "<!-- rules: end -->"


def table() -> str:
    """One row a rule, in the order of a report."""
    share = sum(rule.weight for rule in RULES if rule.statistical)
    head = "| rule | usually | needs | threshold and its origin | share of 5% | source |"
    lines = [head, "|---|---|---|---|---|---|", *(row(rule, share) for rule in RULES)]
    return "\n".join(lines) + "\n"


def row(rule: Rule, share: float) -> str:
    """One rule."""
    part = f"{5 * rule.weight / share:.2g}%" if rule.statistical else "exact"
    name = f'<a id="{rule.id}"></a>`{rule.id}`: {rule.title}'
    cells = (name, rule.severity, rule.needs, rule.threshold, part, rule.source)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def written() -> str:
    """The table that the document holds now."""
    return DOCUMENT.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


def main() -> None:
    """Print, and write if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write into docs/doctor.md")
    args = parser.parse_args()
    print(table())
    if args.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        before, rest = text.split(BEGIN)
        DOCUMENT.write_text(before + BEGIN + table() + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
