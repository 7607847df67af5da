"""Worded errors: one line naming what was given, what is accepted and what to do."""

from difflib import get_close_matches
from typing import Iterable


def unknown_name(where: str, kind: str, given: object, accepted: Iterable[str]) -> str:
    """The line for a name that is not known, with the nearest known ones.

    Args:
        where: what was being read, e.g. "async:poac-5".
        kind: what the name stands for, e.g. "option".
        given: the name as the user wrote it.
        accepted: every name that would have been right.

    Returns:
        "<where>: unknown <kind> '<given>'. Did you mean '<near>'? Known: a, b, c."
    """
    known = sorted(accepted)
    near = get_close_matches(str(given), known, n=2, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    return f"{where}: unknown {kind} {str(given)!r}.{hint} Known: {', '.join(known) or 'none'}."
