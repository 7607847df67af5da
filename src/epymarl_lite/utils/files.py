"""Files that are either whole on the disk or not there at all."""

import hashlib
import logging
import os
import shutil
import time
from pathlib import Path
from typing import Callable

_LOG = logging.getLogger(__name__)
_WAIT_S = 0.5  # before a failed write is tried once more

NOT_WRITTEN = "{path}: could not be written ({error}). Free space or mend the disk, then resume the run."


class WriteError(OSError):
    """A write that failed twice; one line naming the file."""


def sync_folder(folder: Path) -> None:
    """Make renames within `folder` durable, where the system lets folders be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, content: bytes) -> None:
    """Put `content` at `path`: a temporary file, flushed to the disk, then renamed.

    Raises:
        WriteError: it failed twice; what was at `path` is still there.
    """
    _twice(path, lambda: _write_once(path, content))


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write files into an empty folder that then takes the place of `path`.

    Raises:
        WriteError: an OSError came twice; what was at `path` is still there.
    """
    _twice(path, lambda: _write_folder_once(path, fill))


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _twice(path: Path, write: Callable[[], None]) -> None:
    try:
        write()
        return
    except OSError as error:
        _LOG.warning("%s: a write failed (%s); trying once more.", path, error)
    time.sleep(_WAIT_S)
    try:
        write()
    except OSError as error:
        raise WriteError(NOT_WRITTEN.format(path=path, error=error)) from error


def _write_once(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _write_folder_once(path: Path, fill: Callable[[Path], None]) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        try:
            fill(aside)
        except RuntimeError as error:  # torch.save's way of saying that a write failed
            raise OSError(str(error).splitlines()[0]) from error
        for file in aside.iterdir():
            with file.open("rb+") as handle:
                os.fsync(handle.fileno())
        sync_folder(aside)
        _swap(aside, path)
    except OSError:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync_folder(path.parent)


def _swap(aside: Path, path: Path) -> None:
    """Rename `aside` to `path`; a folder that is there already goes."""
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        os.rename(path, old)
    try:
        os.rename(aside, path)
    except OSError:
        if old.exists():
            os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)
