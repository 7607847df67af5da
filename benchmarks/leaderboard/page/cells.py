"""Pieces that the page's tables share: a cell with its interval, a scale to draw on, a rank."""

from typing import Any, Iterable, Mapping, Sequence

from benchmarks.leaderboard.page.text import finite, number, short

__all__ = ["Strip", "column", "estimate", "rank_text", "values_of"]

MARGIN = 4.0  # per cent of a strip left free on both sides
MOST_FOR_REFERENCES = 2.0  # how many times longer references may make a scale


class Strip:
    """A scale on which a table's estimates are drawn beside each other, in per cent of the cell's width."""

    def __init__(self, values: Sequence[float | None], references: Sequence[float | None] = ()) -> None:
        """`values` are all on the scale; `references` are where that does not press the values together."""
        known = [value for value in values if value is not None]
        self.low, self.high = (min(known), max(known)) if known else (0.0, 1.0)
        if self.low == self.high:
            self.low, self.high = self.low - 1.0, self.high + 1.0
        longest = MOST_FOR_REFERENCES * (self.high - self.low)
        for value in references:
            if value is not None and max(self.high, value) - min(self.low, value) <= longest:
                self.low, self.high = min(self.low, value), max(self.high, value)
        self.references = [
            self.place(value) for value in references if value is not None and self.low <= value <= self.high
        ]

    def place(self, value: float) -> str:
        """Where a value is, as an SVG length."""
        share = (value - self.low) / (self.high - self.low)
        return f"{MARGIN + (100.0 - 2.0 * MARGIN) * share:.2f}%"

    def mark(self, found: Mapping[str, Any] | None, middle: str) -> dict[str, str] | None:
        """Where an estimate's `middle` (as "point"), "low" and "high" are; None without one."""
        known = {name: finite((found or {}).get(name)) for name in (middle, "low", "high")}
        if known[middle] is None:
            return None
        return {
            ("point" if name == middle else name): self.place(value)
            for name, value in known.items()
            if value is not None
        }

    def titles(self) -> tuple[str, str]:
        """What stands at both ends."""
        return short(self.low), short(self.high)


def estimate(
    found: Mapping[str, Any] | None, decimals: int, middle: str, why: str = "not available"
) -> dict[str, Any]:
    """One cell: the value, its interval, how many runs it is of, or why it is not there."""
    value = finite((found or {}).get(middle))
    if found is None or value is None:
        return {"value": None, "why": why}
    low, high, n = finite(found.get("low")), finite(found.get("high")), found.get("n")
    interval = None if low is None or high is None else (number(low, decimals), number(high, decimals))
    return {
        "value": value,
        "text": number(value, decimals),
        "interval": interval,
        "n": n,
        "low": low,
        "high": high,
        "why": "one run, no interval" if n == 1 else "no interval",
    }


def rank_text(rank: int | None, all_ranks: Iterable[int | None]) -> str:
    """`1`, or `2=` where others have the same rank."""
    if rank is None:
        return "–"
    return f"{rank}=" if sum(other == rank for other in all_ranks) > 1 else str(rank)


def column(name: str, title: str, what: str, highest_is_best: bool) -> dict[str, Any]:
    """A column's head; a first click on it puts the best row on top."""
    return {"name": name, "title": title, "what": what, "first": "descending" if highest_is_best else "ascending"}


def values_of(estimates: Iterable[Mapping[str, Any] | None]) -> list[float | None]:
    """Middles and bounds of all estimates that are there."""
    return [finite(each.get(name)) for each in estimates if each for name in ("mean", "point", "low", "high")]
