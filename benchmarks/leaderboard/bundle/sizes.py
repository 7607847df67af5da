"""Sizes of a bundle's files: checked as declared before anything is read, and again while reading."""

from typing import BinaryIO

from benchmarks.leaderboard.bundle.limits import Limits, in_words
from benchmarks.leaderboard.bundle.names import PICKLED, looks_pickled
from benchmarks.leaderboard.bundle.refusal import Refused

__all__ = ["DAMAGED", "LINK", "MANY", "check_sizes", "drain"]

MANY = "{n} files, expected at most {most}."
LARGE = "{name}: {given} when unpacked, expected at most {most}."
TOTAL = "{given} when unpacked, expected at most {most}."
LINK = "{name}: a link, expected plain files."
DAMAGED = "{name}: it cannot be read ({error}); the file is damaged, or its sizes are not true."
SHORT = "{name}: {n} bytes were read, {size} were declared."

_READ_AT_ONCE = 2**20


def check_sizes(sizes: dict[str, int], limits: Limits) -> None:
    """Refuse files that are too large, one by one and together."""
    reasons = [
        LARGE.format(name=name, given=in_words(size), most=in_words(limits.of(name)))
        for name, size in sizes.items() if size > limits.of(name)
    ]  # fmt: skip
    if sum(sizes.values()) > limits.total:
        reasons.append(TOTAL.format(given=in_words(sum(sizes.values())), most=in_words(limits.total)))
    Refused.unless_empty(reasons)


def drain(file: BinaryIO, name: str, size: int) -> bytes:
    """Exactly `size` bytes of `file`; one more is not read into memory."""
    parts, n_read = [], 0
    while n_read <= size:
        part = file.read(min(_READ_AT_ONCE, size + 1 - n_read))
        if not part:
            break
        if not n_read and looks_pickled(name, part[:16]):
            raise Refused(PICKLED.format(name=name))
        parts.append(part)
        n_read += len(part)
    if n_read != size:
        raise Refused(SHORT.format(name=name, n=n_read if n_read < size else f"more than {size}", size=size))
    return b"".join(parts)
