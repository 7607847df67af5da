"""A bundle in one zip file, read without unpacking it.

It must be as `submit` writes it: members one behind another from the first byte to the directory, nothing before,
between or behind them, plain names, no links, no encryption. So no two members can share bytes, and none can hide.
"""

import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

from benchmarks.leaderboard.bundle.limits import LIMITS, Limits, in_words
from benchmarks.leaderboard.bundle.names import missing_reasons, name_reasons
from benchmarks.leaderboard.bundle.refusal import Refused, harmless
from benchmarks.leaderboard.bundle.sizes import DAMAGED, LINK, MANY, check_sizes, drain

__all__ = ["ZipArchive"]

PACKED = "the zip file has {given}, expected at most {most}."
NOT_ZIP = "this is not a whole zip file as submit writes it ({error}). Copy it again, or pack with submit."
FOLDER = "{name}: an entry for a folder, expected files only. Pack with submit."
FORM = "{name}: encrypted, or in a form that submit does not write ({what}). Pack with submit."
GAPS = "the zip file has bytes that belong to no member, before {name}. Pack with submit."

_END = struct.Struct("<4s4H2LH")  # end of central directory
_LOCAL = struct.Struct("<4s5H3L2H")  # local file header
_LOCATOR = b"PK\x06\x07"  # of a 64-bit directory, 20 bytes before the end record
_LOCATOR_SIZE = 20
_UTF8 = 0x800


class ZipArchive:
    """Files by name, each within its limits.

    Raises:
        Refused: it is no zip file of this form, or its names or sizes are not accepted.
    """

    def __init__(self, where: Path, limits: Limits = LIMITS):
        self.where = where
        self.sizes: dict[str, int] = {}
        self._file = where.open("rb")
        try:
            self._open(limits)
        except BaseException:
            self._file.close()
            raise

    def _open(self, limits: Limits) -> None:
        size = os.fstat(self._file.fileno()).st_size
        if size > limits.packed:
            raise Refused(PACKED.format(given=in_words(size), most=in_words(limits.packed)))
        n_members, directory = _directory(self._file, size)
        if n_members > limits.files:
            raise Refused(MANY.format(n=n_members, most=limits.files))
        try:
            self._zip = zipfile.ZipFile(self._file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, OSError) as error:
            raise Refused(NOT_ZIP.format(error=harmless(error))) from None
        members = self._zip.infolist()
        if len(members) != n_members or self._zip.start_dir != directory:
            raise Refused(NOT_ZIP.format(error="it has two directories"))
        check_sizes({harmless(member.orig_filename): member.file_size for member in members}, limits)
        reasons = [reason for member in members if (reason := _reason(member)) is not None]
        Refused.unless_empty(reasons + name_reasons(member.orig_filename for member in members))
        self.sizes = {member.filename: member.file_size for member in members}
        Refused.unless_empty(missing_reasons(self.sizes))
        _check_gaps(self._file, members, directory)

    def read(self, name: str) -> bytes:
        """All bytes of one file.

        Raises:
            Refused: it does not have the size or checksum that was declared, or is pickled.
        """
        try:
            with self._zip.open(name) as file:
                return drain(cast(BinaryIO, file), name, self.sizes[name])
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise Refused(DAMAGED.format(name=name, error=harmless(error))) from None

    def __enter__(self) -> "ZipArchive":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._zip.close()
        self._file.close()


def _directory(file: BinaryIO, size: int) -> tuple[int, int]:
    """(members, offset of the directory) from the file's last bytes; the library would search for them."""
    if size < _END.size:
        raise Refused(NOT_ZIP.format(error="it is too short"))
    file.seek(max(0, size - _END.size - _LOCATOR_SIZE))
    tail = file.read()
    signature, disk, first, here, members, length, offset, comment = _END.unpack(tail[-_END.size:])
    if signature != b"PK\x05\x06" or comment:
        raise Refused(NOT_ZIP.format(error="its last bytes are not those of a zip file without comment"))
    if tail.startswith(_LOCATOR) or (disk, first) != (0, 0) or here != members:
        raise Refused(NOT_ZIP.format(error="it has more than one part or directory"))
    if offset + length + _END.size != size:
        raise Refused(NOT_ZIP.format(error="its directory is not where it says"))
    return members, offset


def _reason(member: zipfile.ZipInfo) -> str | None:
    """Why a member's form is not accepted."""
    name = harmless(member.orig_filename)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return LINK.format(name=name)
    if member.is_dir() or kind == stat.S_IFDIR:
        return FOLDER.format(name=name)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return FORM.format(name=name, what=f"compression {member.compress_type}")
    if member.flag_bits & ~_UTF8:
        return FORM.format(name=name, what=f"flags {member.flag_bits:#x}")
    if member.extra or member.comment or kind not in (0, stat.S_IFREG) or member.orig_filename != member.filename:
        return FORM.format(name=name, what="extra fields, a comment or a kind of its own")
    return None


def _check_gaps(file: BinaryIO, members: list[zipfile.ZipInfo], directory: int) -> None:
    """Refuse bytes that belong to no member, and members that share bytes."""
    at = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset != at:
            raise Refused(GAPS.format(name=member.filename))
        file.seek(at)
        header = file.read(_LOCAL.size)
        if len(header) != _LOCAL.size:
            raise Refused(NOT_ZIP.format(error="a member is cut off"))
        *_, name_length, extra_length = _LOCAL.unpack(header)
        at += _LOCAL.size + name_length + extra_length + member.compress_size
        if extra_length:
            raise Refused(FORM.format(name=member.filename, what="extra fields"))
    if at != directory:
        raise Refused(GAPS.format(name="the directory"))
