"""JSON as a bundle may hold it: finite numbers, bounded depth and size, no name twice in an object."""

import json
import math
from functools import partial
from typing import Any, Iterator

from benchmarks.leaderboard.bundle.limits import LIMITS, Limits
from benchmarks.leaderboard.bundle.refusal import Refused, harmless

__all__ = ["canonical", "lines", "parse"]

NOT_FINITE = "{where}: {given} is no number here, expected finite numbers. Leave the run out, or find out why."
TOO_LONG = "{where}: a whole number of {n} digits, expected at most {most}."
TOO_DEEP = "{where}: lists and objects lie in each other {n} deep, expected at most {most}."
LONG_TEXT = "{where}: a text of {n} characters, expected at most {most}."
TWICE = "{where}: the name {name!r} is twice in one object."
NOT_JSON = "{where}: this is not JSON ({error})."
LONG_LINE = "{where}: line {line} has more than {most} bytes."
NO_END = "{where}: the last line does not end with a line feed; the file was cut off."


def parse(data: bytes, where: str, limits: Limits = LIMITS) -> Any:
    """The value that `data` holds.

    Raises:
        Refused: it is not JSON, or not what a bundle may hold; one line.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            parse_constant=partial(_constant, where),
            parse_float=partial(_float, where),
            parse_int=partial(_int, where, limits),
            object_pairs_hook=partial(_object, where),
        )
    except RecursionError:
        raise Refused(TOO_DEEP.format(where=where, n="hundreds", most=limits.depth)) from None
    except Refused:
        raise
    except ValueError as error:
        raise Refused(NOT_JSON.format(where=where, error=harmless(error))) from None
    _check(value, where, limits)
    return value


def lines(data: bytes, where: str, limits: Limits = LIMITS) -> Iterator[Any]:
    """The value of every line, one after another.

    Raises:
        Refused: while iterating, at the first line that is not right.
    """
    if data and not data.endswith(b"\n"):
        raise Refused(NO_END.format(where=where))
    start, number = 0, 0
    while start < len(data):
        number += 1
        end = data.index(b"\n", start)
        if end - start > limits.line:
            raise Refused(LONG_LINE.format(where=where, line=number, most=limits.line))
        yield parse(data[start:end], f"{where} line {number}", limits)
        start = end + 1


def canonical(value: Any) -> bytes:
    """The one way in which `value` is written: sorted names, no blanks, ASCII, a line feed at the end."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _constant(where: str, text: str) -> Any:
    raise Refused(NOT_FINITE.format(where=where, given=text))


def _float(where: str, text: str) -> float:
    value = float(text) if len(text) <= 64 else math.inf
    if not math.isfinite(value):
        raise Refused(NOT_FINITE.format(where=where, given=harmless(text, 40)))
    return value


def _int(where: str, limits: Limits, text: str) -> int:
    if len(text.lstrip("-")) > limits.digits:
        raise Refused(TOO_LONG.format(where=where, n=len(text), most=limits.digits))
    return int(text)


def _object(where: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise Refused(TWICE.format(where=where, name=harmless(name, 60)))
        found[name] = value
    return found


def _check(value: Any, where: str, limits: Limits) -> None:
    """Depth and length of texts, level by level."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > limits.depth:
            raise Refused(TOO_DEEP.format(where=where, n=depth, most=limits.depth))
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.keys()
                below += item.values()
            elif isinstance(item, list):
                if not item or type(item[0]) not in (int, float) or not set(map(type, item)) <= {int, float}:
                    below += item
            elif isinstance(item, str) and len(item) > limits.text:
                raise Refused(LONG_TEXT.format(where=where, n=len(item), most=limits.text))
        level = below
