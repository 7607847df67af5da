"""Checks of what users write in a tabular task; each failure is one line that names the field and the place.

`where` is the task's name, for the lines: a file, a key.
"""

import math
import operator
from typing import Any, Sequence

import numpy as np

ROW_SUM_TOLERANCE = 1e-9  # rows of probabilities sum to one to within this
MOST_ENTRIES = 2**26  # of one array; 512 MiB as float64

NOT_NUMBERS = "{where}: {field} {reason}, {expected} are expected. Write plain numbers."
NOT_FINITE = "{where}: {place} is {value}, a finite number is expected. Write a number."
WRONG_SHAPE = "{where}: {field} has shape {shape}, expected {expected}. {advice}"
TOO_LARGE = (
    "{where}: {field} would have {entries:,} entries, at most {most:,} are accepted. "
    "Use fewer states, agents, actions, observations or steps of an action."
)
NOT_PROBABLE = "{where}: {place} is {value}, a probability from 0 to 1 is expected. Mend this entry."
NOT_ONE = (
    "{where}: row {place} sums to {total}, expected 1. "
    "Make the probabilities of every row sum to one (within 1e-9)."
)
NOT_FLAG = "{where}: {place} is {value}, True or False (1 or 0) is expected. Mend this entry."
NOT_WHOLE = "{where}: {place} is {value}, {expected} is expected. Mend this entry."


def numbers(where: str, field: str, value: Any) -> np.ndarray:
    """`value` as a new float64 array of finite numbers, of whatever shape."""
    array = _array(where, field, value, "numbers")
    if array.dtype.kind not in "iuf":
        reason = f"holds {_kind(array)}"
        raise ValueError(NOT_NUMBERS.format(where=where, field=field, reason=reason, expected="numbers"))
    array = np.array(array, np.float64)
    bad = ~np.isfinite(array)
    if bad.any():
        at = _first(bad)
        raise ValueError(NOT_FINITE.format(where=where, place=place(field, at), value=array[at]))
    return array


def probabilities(where: str, field: str, array: np.ndarray, is_read: np.ndarray | None = None) -> None:
    """Every entry of `array` [..., K] is at least 0 and every row sums to one.

    Args:
        is_read: [array.shape[0]] bool; the sums of the others are not looked at. None looks at all.
    """
    bad = array < 0.0
    if bad.any():
        at = _first(bad)
        raise ValueError(NOT_PROBABLE.format(where=where, place=place(field, at), value=array[at]))
    off = np.atleast_1d(np.abs(array.sum(axis=-1) - 1.0) > ROW_SUM_TOLERANCE)
    if is_read is not None:
        off[~is_read] = False
    if off.any():
        at = _first(off) if array.ndim > 1 else ()
        total = f"{array[at].sum():.12g}"
        raise ValueError(NOT_ONE.format(where=where, place=place(field, at), total=total))


def whole_numbers(where: str, field: str, array: np.ndarray, low: int, expected: str) -> np.ndarray:
    """`array` as int64, after a look that each entry is whole and at least `low`."""
    bad = (array != np.floor(array)) | (array < low) | (array > 2.0**53)
    if bad.any():
        at = _first(bad)
        value = f"{array[at]:g}"
        raise ValueError(
            NOT_WHOLE.format(where=where, place=place(field, at), value=value, expected=expected)
        )
    return array.astype(np.int64)


def flags(
    where: str, field: str, value: Any, shape: tuple[int, ...], letters: str, default: bool = False
) -> np.ndarray:
    """`value` as a new bool array of `shape`; None is `default` everywhere. 0 and 1 pass for bools."""
    if value is None:
        return np.full(shape, default)
    array = _array(where, field, value, "flags")
    if array.dtype.kind not in "biuf":
        reason, expected = f"holds {_kind(array)}", "True and False (or 1 and 0)"
        raise ValueError(NOT_NUMBERS.format(where=where, field=field, reason=reason, expected=expected))
    require_shape(where, field, array, shape, letters)
    bad = (array != 0) & (array != 1)
    if bad.any():
        at = _first(bad)
        raise ValueError(NOT_FLAG.format(where=where, place=place(field, at), value=array[at]))
    return np.array(array, np.bool_)


def require_shape(
    where: str, field: str, array: np.ndarray, shape: tuple[int, ...], letters: str, advice: str = ""
) -> None:
    """`letters` tells what the axes are, e.g. "[states, agents]"."""
    if array.shape != shape:
        line = WRONG_SHAPE.format(
            where=where, field=field, shape=array.shape, expected=f"{shape} {letters}",
            advice=advice or "Give one entry for each.",
        )  # fmt: skip
        raise ValueError(line)


def require_size(where: str, field: str, shape: Sequence[int]) -> None:
    """An array of this shape may be made."""
    entries = math.prod(shape)
    if entries > MOST_ENTRIES:
        raise ValueError(TOO_LARGE.format(where=where, field=field, entries=entries, most=MOST_ENTRIES))


def whole(where: str, field: str, value: Any, low: int, high: int) -> int:
    """One whole number from `low` to `high`."""
    try:
        given = operator.index(value)
    except TypeError:
        given = None
    if given is None or isinstance(value, (bool, np.bool_)) or not low <= given <= high:
        expected = f"a whole number from {low:,} to {high:,}"
        raise ValueError(NOT_WHOLE.format(where=where, place=field, value=repr(value), expected=expected))
    return given


def flag(where: str, field: str, value: Any) -> bool:
    """One bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(NOT_FLAG.format(where=where, place=field, value=repr(value)))
    return bool(value)


def place(field: str, at: Sequence[int]) -> str:
    """How an entry is written: "rewards[1, 0, 2]"."""
    return f"{field}[{', '.join(str(k) for k in at)}]" if len(at) else field


def _array(where: str, field: str, value: Any, expected: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except (ValueError, OverflowError, TypeError):  # lists of different lengths
        reason = "has rows of different lengths"
        raise ValueError(
            NOT_NUMBERS.format(where=where, field=field, reason=reason, expected=expected)
        ) from None


def _kind(array: np.ndarray) -> str:
    return {"b": "True or False", "U": "text", "S": "text", "c": "complex numbers"}.get(
        array.dtype.kind, "something other than numbers"
    )


def _first(bad: np.ndarray) -> tuple[int, ...]:
    return tuple(int(k) for k in np.argwhere(bad)[0])
