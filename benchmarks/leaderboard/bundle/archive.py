"""Reading a bundle where it lies: nothing is ever unpacked, so that no name can lead anywhere."""

import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Protocol

from benchmarks.leaderboard.bundle.limits import LIMITS, Limits
from benchmarks.leaderboard.bundle.names import missing_reasons, name_reasons
from benchmarks.leaderboard.bundle.refusal import Refused
from benchmarks.leaderboard.bundle.sizes import DAMAGED, LINK, MANY, check_sizes, drain
from benchmarks.leaderboard.bundle.zipped import ZipArchive

__all__ = ["Archive", "FolderArchive", "open_archive"]

NOTHING = "{path}: there is no such file or folder. Name a bundle that submit has written."
NOT_PLAIN = "{name}: neither a plain file nor a folder."
DEEP = "{name}: folders lie in each other more than {most} deep. Take it out."

_DEEPEST = 8  # folders; runs/<task>/<algorithm>/seed-<n> is four


class Archive(Protocol):
    """Files by name, each within its limits."""

    where: Path
    sizes: dict[str, int]  # bytes of every file, by name

    def read(self, name: str) -> bytes:
        """All bytes of one file."""

    def __enter__(self) -> "Archive": ...

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


def open_archive(path: str | Path, limits: Limits = LIMITS) -> Archive:
    """A bundle, with its names and sizes checked.

    Raises:
        Refused: there is none, or its names or sizes are not accepted; nothing was unpacked.
    """
    path = Path(path)
    if path.is_dir():
        return FolderArchive(path, limits)
    if not path.is_file():
        raise Refused(NOTHING.format(path=path))
    return ZipArchive(path, limits)


class FolderArchive:
    """A bundle that lies in a folder."""

    def __init__(self, where: Path, limits: Limits = LIMITS):
        self.where = where
        self.sizes: dict[str, int] = {}
        reasons: list[str] = []
        self._walk(where, "", limits, reasons, 0)
        Refused.unless_empty(reasons + name_reasons(self.sizes) + missing_reasons(self.sizes))
        check_sizes(self.sizes, limits)

    def _walk(self, folder: Path, before: str, limits: Limits, reasons: list[str], depth: int) -> None:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise Refused(DAMAGED.format(name=before or folder, error=error.strerror)) from None
        for entry in entries:
            name = before + entry.name
            if entry.is_symlink():
                reasons.append(LINK.format(name=name))
            elif entry.is_dir(follow_symlinks=False):
                if depth < _DEEPEST:
                    self._walk(folder / entry.name, f"{name}/", limits, reasons, depth + 1)
                else:
                    reasons.append(DEEP.format(name=name, most=_DEEPEST))
            elif not entry.is_file(follow_symlinks=False):
                reasons.append(NOT_PLAIN.format(name=name))
            else:
                self.sizes[name] = entry.stat(follow_symlinks=False).st_size
            if len(self.sizes) > limits.files:
                raise Refused(MANY.format(n=f"more than {limits.files}", most=limits.files))

    def read(self, name: str) -> bytes:
        """All bytes of one file.

        Raises:
            Refused: it has changed its size or kind since the folder was opened, or is pickled.
        """
        try:
            handle = os.open(self.where / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            with os.fdopen(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise Refused(NOT_PLAIN.format(name=name))
                return drain(file, name, self.sizes[name])
        except OSError as error:
            raise Refused(DAMAGED.format(name=name, error=error.strerror)) from None

    def __enter__(self) -> "FolderArchive":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass
