"""What `lrpilot tune` was asked for, from the command line to the run's folder and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrpilot.cli import _parser
from lrpilot.cli.tune import _settings
from lrpilot.errors import InputError
from lrpilot.tune.settings import FILE, Settings

ASKED = ("tune", "--model", "m", "--data", "d", "--task", "text-generation", "--output", "o")


@pytest.mark.parametrize(("more", "doctor"), [((), True), (("--no-doctor",), False)])
def test_the_doctor_is_kept_with_the_run(
    more: tuple[str, ...], doctor: bool, tmp_path: Path
) -> None:
    settings = _settings(_parser("tune").parse_args([*ASKED, *more]))
    assert settings.doctor is doctor
    settings.write(tmp_path)
    assert Settings.read(tmp_path) == settings


def test_the_limit_of_time_is_kept_with_the_run(tmp_path: Path) -> None:
    settings = _settings(_parser("tune").parse_args([*ASKED, "--max-minutes", "2.5"]))
    settings.write(tmp_path)
    assert Settings.read(tmp_path).max_minutes == 2.5


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf"])
def test_a_limit_that_is_no_time_is_refused(minutes: str) -> None:
    with pytest.raises(InputError, match="max_minutes"):
        _settings(_parser("tune").parse_args([*ASKED, "--max-minutes", minutes]))


def test_a_run_that_knows_nothing_of_the_doctor_gets_it(tmp_path: Path) -> None:
    Settings(task="text-generation", model="m", data="d").write(tmp_path)
    data = json.loads((tmp_path / FILE).read_text())
    del data["doctor"]
    (tmp_path / FILE).write_text(json.dumps(data))
    assert Settings.read(tmp_path).doctor is True
