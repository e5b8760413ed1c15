"""The door to the packages: only the pinned archive, only the wanted files, never half."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lrpilot.errors import LrpilotError
from lrpilot.tune import assets
from lrpilot.tune.assets import Package, cache_dir, cached_folder, extract, fetch_package

CONTENTS = {"box/a.txt": b"first", "box/icons/b.svg": b"<svg/>", "box/icons/c.png": b"png"}
WANTED = {"box/a.txt": "kept/a.txt", "box/icons/*.svg": "icons"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LRPILOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def wheel_bytes() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in CONTENTS.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def sdist_bytes() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        link = tarfile.TarInfo("box/link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for name, content in CONTENTS.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def package(content: bytes, **changes: Any) -> Package:
    values = {
        "name": "box",
        "version": "1.0",
        "filename": "box-1.0.whl",
        "sha256": hashlib.sha256(content).hexdigest(),
        "megabytes": 1,
        "members": WANTED,
    }
    return Package(**{**values, **changes})


def fake_pip(
    monkeypatch: pytest.MonkeyPatch, content: bytes, *, code: int = 0, error: str = ""
) -> list[list[str]]:
    """Put a file where pip was told to put it; return the commands that it was given."""
    calls: list[list[str]] = []

    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        if code == 0:
            folder = Path(command[command.index("--dest") + 1])
            (folder / "box-1.0.whl").write_bytes(content)
        return subprocess.CompletedProcess(command, code, "", error)

    monkeypatch.setattr(assets.subprocess, "run", run)
    return calls


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_only_the_wanted_files_are_copied(tmp_path: Path, kind: str) -> None:
    content = wheel_bytes() if kind == "wheel" else sdist_bytes()
    (tmp_path / "archive").write_bytes(content)
    extract(package(content, kind=kind), tmp_path / "archive", tmp_path / "out")
    assert files(tmp_path / "out") == {"kept/a.txt": b"first", "icons/b.svg": b"<svg/>"}


def test_another_archive_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(wheel_bytes() + b"more")
    with pytest.raises(LrpilotError, match="is not the pinned file"):
        extract(package(wheel_bytes()), tmp_path / "archive", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_are_not_followed_and_absent_members_are_named(tmp_path: Path) -> None:
    content = sdist_bytes()
    (tmp_path / "archive").write_bytes(content)
    pinned = package(content, kind="sdist", members={"box/link.txt": "x", "box/a.txt": "a"})
    with pytest.raises(LrpilotError, match=r"lacks box/link\.txt"):
        extract(pinned, tmp_path / "archive", tmp_path / "out")


def test_nothing_is_written_outside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(wheel_bytes())
    with pytest.raises(LrpilotError, match="unsafe path"):
        extract(
            package(wheel_bytes(), members={"box/a.txt": "../a.txt"}),
            tmp_path / "archive",
            tmp_path / "out",
        )
    assert not (tmp_path / "a.txt").exists()


def test_a_package_is_downloaded_once(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    calls, said = fake_pip(monkeypatch, wheel_bytes()), []
    first = fetch_package(package(wheel_bytes()), progress=said.append)
    assert fetch_package(package(wheel_bytes()), progress=said.append) == first
    assert first == cache / "packages" / "box-1.0"
    assert files(first)["kept/a.txt"] == b"first"
    assert said == ["downloading box 1.0 (1 MB)"]
    assert len(calls) == 1
    assert calls[0][-1] == "box==1.0"
    assert calls[0][1:4] == ["-m", "pip", "download"]
    assert [p.name for p in first.parent.iterdir()] == ["box-1.0"]  # no temporary folder is left


def test_an_archive_put_there_by_hand_needs_no_pip(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    calls = fake_pip(monkeypatch, b"")
    (cache / "downloads").mkdir(parents=True)
    (cache / "downloads" / "box-1.0.whl").write_bytes(wheel_bytes())
    assert files(fetch_package(package(wheel_bytes())))["icons/b.svg"] == b"<svg/>"
    assert calls == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("python: No module named pip", "-m ensurepip"),
        ("WARNING: x\nERROR: Could not find a version\nERROR: y", "(Could not find a version)"),
        ("", "no reason given"),
    ],
)
def test_a_failed_download_is_one_line_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, cache: Path, error: str, words: str
) -> None:
    fake_pip(monkeypatch, b"", code=1, error=error)
    with pytest.raises(LrpilotError) as caught:
        fetch_package(package(wheel_bytes()))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files(cache) == {}


def test_a_folder_that_failed_to_build_is_not_left_half(cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        cached_folder("demos/x-1", fail)
    assert list((cache / "demos").iterdir()) == []
    assert files(cached_folder("demos/x-1", lambda f: (f / "whole").write_text("y") and None)) == {
        "whole": b"y"
    }


def test_an_unwritable_cache_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LRPILOT_CACHE", str(tmp_path / "file"))
    with pytest.raises(LrpilotError, match="set LRPILOT_CACHE"):
        fetch_package(package(wheel_bytes()))


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRPILOT_CACHE", "/some/where")
    assert cache_dir() == Path("/some/where")
    monkeypatch.delenv("LRPILOT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_dir() == Path("/xdg/lrpilot")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "lrpilot"
