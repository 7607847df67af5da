"""How words and numbers of the report are written on the page. Escaping is the template engine's."""

import math
import re
from typing import Any, Iterable

__all__ = ["MINUS", "decimals_for", "duration", "finite", "number", "plural", "short", "shown", "whole"]

MINUS = "\N{MINUS SIGN}"
LONGEST = 4000
# Control characters, line separators, marks that turn the direction of writing, halves of surrogate pairs: none of
# them is a letter that a name needs, each can make a text read as another or break the file.
UNSHOWABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)


def shown(value: Any) -> Any:
    """A text from the data as it may stand on a page: unshowable characters replaced, what is endless cut.

    Anything that is not exactly a `str` is given back as it is (numbers; marked-up text of the template engine).
    """
    if type(value) is not str:
        return value
    text = UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({whole(len(value))} characters)"


def finite(value: Any) -> float | None:
    """The number, or None for whatever is not a finite one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value


def decimals_for(values: Iterable[float | None]) -> int:
    """Decimals for a column of numbers, so that its largest has about four digits."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    return 3 if largest < 10 else 2 if largest < 100 else 1 if largest < 1000 else 0


def number(value: Any, decimals: int = 3) -> str:
    """`value` with fixed decimals, a real minus sign and commas between thousands; a dash for what is no number."""
    known = finite(value)
    if known is None:
        return "–"
    text = f"{known:,.{decimals}f}"
    if text.startswith("-"):
        text = text[1:] if not text.strip("-0.,") else MINUS + text[1:]
    return text


def whole(value: Any) -> str:
    """A count with commas between thousands."""
    return number(value, 0)


def short(value: Any) -> str:
    """A number on its own, with up to four digits and no zeros at its end: `20`, `−2.5`."""
    known = finite(value)
    if known is None:
        return "–"
    text = number(known, decimals_for([known]))
    return text.rstrip("0").rstrip(".") if "." in text else text


def plural(count: int, one: str, many: str | None = None) -> str:
    """`3 runs`, `1 run`."""
    return f"{whole(count)} {one if count == 1 else many or one + 's'}"


def duration(seconds: Any) -> str:
    """Seconds as people say them: `42 s`, `7 min 30 s`, `3 h 05 min`."""
    known = finite(seconds)
    if known is None:
        return "–"
    total = round(known)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{whole(total // 3600)} h {total % 3600 // 60:02d} min"
