"""Check the table of published recipes against the files that it cites.

    python scripts/check_evidence.py [--clones DIR] [--table FILE.csv] [--repo OWNER/NAME]
                                     [--show] [--write]

Every row's learning rate is looked for in the cited file, at the cited commit where the clone
has it and at HEAD otherwise. A row is `ok`, `not-found` (the file is there, the number is not) or
`no-source` (no repository or no such file). `--write` sets the column `verified` of a row that is
`ok` from `reported` to `literal`; `context`, which only a reader can give, stays. Exit status: 0,
or 1 if a number was not found.

Without `--clones` the cited repositories are cloned into a temporary folder (without file
contents, which git then fetches one by one), as far as the network lets it.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

TABLE = Path(__file__).parent.parent / "src/lrpilot/recommend/data/recipes.csv"
SAME = 5e-4  # assumed: relative; the table rounds to four figures (1.231e-05)

_NUMBER = re.compile(
    r"(?<![\d.])(\d+\.?\d*|\.\d+)"  # 2  2.  0.00002  .3
    r"(?:\s?[eE]\s?\{?([-+]?\d+)"  # 2e-5  2E-05  2 e-5
    r"|\s*\\?(?:\*|x|times|cdot)?\s*10\s?(?:\^|\*\*)\s?\{?\(?([-+]?\d+))?"  # 2 x 10^-5  2*10**-5
)
_TEN_TO = re.compile(r"(?<![\d.])10\s?(?:\^|\*\*)\s?\{?\(?([-+]?\d+)")  # 10^-5
_RATE_WORD = re.compile(r"lr|learning.?rate", re.IGNORECASE)
_BATCH_RULE = re.compile(r"x batch/(\d+)")
_ROOT_RULE = re.compile(r"x sqrt\(batch\)")
_UNIT_RULE = re.compile(r"in units of (\S+)")


def numbers_in(text: str) -> Iterator[float]:
    """Every number that a text states, whatever its spelling; signs are left out."""
    text = text.translate({0x2212: "-", 0x2013: "-", 0x2011: "-", 0xD7: "x", 0x24: None})
    for match in _NUMBER.finditer(text):
        mantissa, exponent, ten = match.groups()
        power = int(exponent or ten or 0)
        if abs(power) < 30:
            yield float(mantissa) * 10.0**power
    for match in _TEN_TO.finditer(text):
        if abs(int(match[1])) < 30:
            yield 10.0 ** int(match[1])


def line_with(rate: float, text: str, *, beside_name: bool = False) -> int | None:
    """The first line (from 1) that states a rate in any spelling; None where no line does.

    Args:
        rate: The rate to look for.
        text: The file.
        beside_name: Count only lines that also say "lr" or "learning rate".
    """
    found = None
    for number, line in enumerate(text.splitlines(), 1):
        if any(math.isclose(rate, value, rel_tol=SAME) for value in numbers_in(line)):
            if _RATE_WORD.search(line):
                return number
            found = found or number
    return None if beside_name else found


def stated_rates(row: dict[str, str]) -> list[float]:
    """The numbers that the cited file must hold: the peak, or the ends of a searched range."""
    if not row["peak_lr"]:
        return [float(row[name]) for name in ("lr_low", "lr_high") if row[name]]
    return [float(row["peak_lr"])]


def spelled_rates(rate: float, row: dict[str, str]) -> list[tuple[float, bool]]:
    """The ways in which a file may state a rate: (number, must stand beside the word "lr").

    A note "x batch/256" means that the file gives the rate for 256 examples, "x sqrt(batch)" the
    rate for one, "in units of 1e-5" a multiple.
    """
    spelled = [(rate, False)]
    rule = _BATCH_RULE.search(row["note"])
    if rule and row["batch_size"]:
        spelled.append((rate * float(rule[1]) / float(row["batch_size"]), False))
    if _ROOT_RULE.search(row["note"]) and row["batch_size"]:
        spelled.append((rate / math.sqrt(float(row["batch_size"])), False))
    unit = _UNIT_RULE.search(row["note"])
    if unit:
        spelled.append((rate / float(unit[1]), True))
    return spelled


def find_rates(row: dict[str, str], text: str) -> int | None:
    """The line of the row's last stated rate, or None unless the text holds all of them."""
    line = None
    for rate in stated_rates(row):
        lines = [
            line_with(value, text, beside_name=named) for value, named in spelled_rates(rate, row)
        ]
        line = next((found for found in lines if found), None)
        if line is None:
            return None
    return line


class Sources:
    """The cited files, out of git directories on this disk or cloned when first asked for."""

    def __init__(self, clones: Path | None, scratch: Path) -> None:
        self._clones, self._scratch = clones, scratch
        self.repository = lru_cache(maxsize=None)(self._repository)
        self.read = lru_cache(maxsize=64)(self._read)

    def _repository(self, repo: str) -> Path | None:
        if self._clones is None:
            return self._clone(repo)
        joined = self._clones / repo.replace("/", "+")
        for path in (joined / "repo", self._clones / repo, joined):
            if path.is_dir() and _git(path, "rev-parse", "HEAD") is not None:
                return path
        return None

    def _clone(self, repo: str) -> Path | None:
        path = self._scratch / repo.replace("/", "+")
        url = f"https://github.com/{repo}"
        made = _git(
            self._scratch, "clone", "-q", "--filter=blob:none", "--no-checkout", url, str(path)
        )
        return None if made is None else path

    def _read(self, repo: str, commit: str, path: str) -> tuple[str, str] | None:
        """(commit read, text) of a file, or None."""
        clone = self.repository(repo)
        for name in (commit, "HEAD") if clone else ():
            text = _git(clone, "show", f"{name}:{path}")
            if text is not None:
                return name, text
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, or None where it fails."""
    command = ["git", "-c", "safe.directory=*", "-C", str(folder), *arguments]
    quiet = os.environ | {"GIT_TERMINAL_PROMPT": "0"}  # an absent repository asks for a password
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=600, env=quiet)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def check(row: dict[str, str], sources: Sources) -> tuple[str, str]:
    """(ok, not-found or no-source; where) for one row."""
    path = row["source_path"]
    source = sources.read(row["source_repo"], row["source_commit_or_url"], path)
    if source is None:
        return "no-source", path
    commit, text = source
    line = find_rates(row, text)
    at = "" if commit != "HEAD" else " at HEAD, the cited commit is not in the clone"
    if line is None:
        return "not-found", path + at
    return "ok", f"{path}:{line}{at}"


def main() -> int:
    """Check, print, write; the exit status."""
    options = _options()
    with options.table.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or ()), list(reader)
    results: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        sources = Sources(options.clones, Path(scratch))
        for number, row in enumerate(rows, 2):
            if options.repo and row["source_repo"] != options.repo:
                continue
            result, where = check(row, sources)
            results[result] += 1
            rates = " to ".join(f"{rate:g}" for rate in stated_rates(row))
            if options.show or result != "ok":
                model = f"{row['model']} {row['method']}"
                print(f"{number}: {result}: {rates} {model}: {row['source_repo']}/{where}")
            if result == "ok" and row["verified"] == "reported":
                row["verified"] = "literal"
    print(", ".join(f"{name} {results[name]}" for name in ("ok", "not-found", "no-source")))
    if options.write:
        _write(options.table, columns, rows)
    return 1 if results["not-found"] else 0


def _write(table: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Check the recipes against their sources.")
    parser.add_argument("--clones", type=Path, help="folder of git directories, one a repository")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--repo", help="check only the rows of this owner/name")
    parser.add_argument("--show", action="store_true", help="print the rows that are ok too")
    parser.add_argument("--write", action="store_true", help="write `verified` into the table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
