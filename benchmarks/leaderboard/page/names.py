"""Which colour, marker and dash an algorithm has, everywhere on the page."""

from dataclasses import dataclass
from typing import Any, Mapping

__all__ = ["Algorithm", "algorithms_of"]

N_COLOURS = 7  # page.css: .c0 … .c6, told apart with any colour vision; they repeat with another dash
N_MARKERS = 8  # index.html.jinja: symbols m0 … m7
DASHES = ("", "7 3", "2 3", "9 3 2 3")


@dataclass(frozen=True)
class Algorithm:
    """One algorithm as the page draws it."""

    index: int
    name: str
    title: str
    mechanism: str
    source: str

    @property
    def colour(self) -> int:
        """The number of its CSS class."""
        return self.index % N_COLOURS

    @property
    def marker(self) -> int:
        """The number of its symbol."""
        return self.index % N_MARKERS

    @property
    def dash(self) -> str:
        """An SVG stroke-dasharray; empty for a solid line."""
        return DASHES[self.index // N_COLOURS % len(DASHES)]


def algorithms_of(data: Mapping[str, Any]) -> dict[str, Algorithm]:
    """Name -> algorithm in the report's order; names that only rows, curves or aggregates have come last."""
    described = {entry["name"]: entry for entry in data["algorithms"]}
    names = list(described)
    names += [row["algorithm"] for row in data["rows"]]
    names += [name for curves in data["curves"].values() for name in curves]
    names += [entry["algorithm"] for entry in data.get("aggregates") or ()]
    for entry in data.get("improvement") or ():
        names += [entry["x"], entry["y"]]
    for part in ("profiles", "efficiency"):
        names += list((data.get(part) or {}).get("algorithms") or ())
    found = {}
    for index, name in enumerate(dict.fromkeys(names)):
        entry = described.get(name, {})
        found[name] = Algorithm(
            index, name, entry.get("title") or name, entry.get("mechanism") or "", entry.get("source") or ""
        )
    return found
