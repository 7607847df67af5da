"""Places in a table, given only where intervals part."""

from typing import Sequence

from benchmarks.leaderboard.statistics.bootstrap import Interval

__all__ = ["ranks"]


def ranks(found: Sequence[Interval | None]) -> list[int | None]:
    """Competition ranks, the highest first: 1, 1, 3, …

    Two whose intervals overlap or touch share their place, and so do those whom a chain of overlaps joins: no two
    different places are ever given to overlapping intervals. Without an interval there is no place.
    """
    known = [(k, each) for k, each in enumerate(found) if each is not None and each.low is not None]
    known.sort(key=lambda pair: -float(pair[1].high or 0.0))
    places: list[int | None] = [None] * len(found)
    place, lowest = 1, float("inf")
    for position, (k, each) in enumerate(known, start=1):
        assert each.low is not None and each.high is not None
        if each.high < lowest:
            place = position
        lowest = min(lowest, each.low)
        places[k] = place
    return places
