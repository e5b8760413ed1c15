"""The doctor's page, hook and action say what the code says."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from lrpilot.cli import _parser
from lrpilot.diagnose import RULES

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from doctor_rules import table, written  # noqa: E402

PAGE = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")


def test_the_table_of_rules_is_that_of_the_code() -> None:
    assert written() == table(), "run: python scripts/doctor_rules.py --write"


def test_the_comparison_names_only_rules_that_exist_and_all_of_them() -> None:
    compared = PAGE.split("## Beside the doctors")[1]
    known = {rule.id for rule in RULES}
    ours = [line.rsplit("|", 2)[1] for line in compared.splitlines() if line.startswith("| ")]
    assert {name for cell in ours for name in re.findall(r"`([a-z0-9-]+)`", cell)} == known


@pytest.mark.parametrize("line", re.findall(r"^lrpilot doctor [^#\n>]*", PAGE, re.M))
def test_the_commands_of_the_page_parse(line: str) -> None:
    args = _parser("doctor").parse_args(shlex.split(line)[1:])
    assert args.command == "doctor"


def test_the_examples_of_the_page_compile() -> None:
    examples = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert examples
    for code in examples:
        compile(code, "docs/doctor.md", "exec")


def test_hook_and_action_call_the_command() -> None:
    yaml = pytest.importorskip("yaml")
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert hook["entry"] == "lrpilot doctor --skip-unreadable"
    assert hook["language"] == "python"
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    assert action["runs"]["using"] == "composite"
    script = "\n".join(step["run"] for step in action["runs"]["steps"])
    assert "lrpilot doctor" in script
    assert "${{" not in script  # inputs come through the environment: nothing is pasted into bash
    known = set(action["inputs"])
    used = {word for step in action["runs"]["steps"] for value in step["env"].values()
            for word in re.findall(r"inputs\.([\w-]+)", value)}  # fmt: skip
    assert used == known
