"""The table that a verification fills: one row for each check of each policy."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Sequence

import numpy as np
from torch import Tensor

__all__ = [
    "HOLDS", "NOT_EXERCISED", "NO_EXECUTION", "Row", "Size", "VIOLATED", "difference", "judged",
    "not_exercised", "table",
]  # fmt: skip

HOLDS, VIOLATED, NOT_EXERCISED = "holds", "VIOLATED", "not exercised"
NO_EXECUTION = "no agent executed"

COLUMNS = ("check", "policy", "episodes", "steps", "rows", "worst", "limit", "verdict")


class Size(NamedTuple):
    """How much a check looked at."""

    episodes: int
    steps: int


@dataclass(frozen=True)
class Row:
    """What one check came to.

    `steps` are steps of episodes, the last observation included where it was looked at; `rows` are what was
    compared: numbers, proxies, parameters or joint actions, as the check's name says.
    """

    check: str
    policy: str
    episodes: int
    steps: int
    rows: int
    worst: float  # largest difference found; infinite where things cannot be compared
    limit: float  # what it may be
    verdict: str  # HOLDS, VIOLATED or NOT_EXERCISED
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        """The row as texts, in the order of COLUMNS."""
        verdict = f"{self.verdict}: {self.note}" if self.note else self.verdict
        numbers = [str(number) for number in (self.episodes, self.steps, self.rows)]
        return (self.check, self.policy, *numbers, f"{self.worst:.2g}", f"{self.limit:.2g}", verdict)


def judged(
    check: str,
    policy: str,
    size: Size,
    *,
    rows: int,
    worst: float,
    limit: float = 0.0,
    note: str = "",
) -> Row:
    """A row whose verdict follows from `worst` and `limit`; a NaN violates."""
    verdict = HOLDS if worst <= limit else VIOLATED
    return Row(check, policy, *size, rows, float(worst), limit, verdict, note)


def not_exercised(check: str, policy: str, size: Size, why: str = NO_EXECUTION) -> Row:
    """A row of a check that found nothing to look at."""
    return Row(check, policy, *size, 0, 0.0, 0.0, NOT_EXERCISED, why)


def difference(one: Any, other: Any) -> float:
    """Largest absolute difference of two arrays or tensors; 0 only if they are equal bit for bit.

    Infinite where shapes or types differ, or where a NaN stands; the smallest positive number where only bits
    do (0.0 and -0.0).
    """
    a, b = _array(one), _array(other)
    if a.shape != b.shape or a.dtype != b.dtype:
        return float("inf")
    if a.tobytes() == b.tobytes():
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        worst = float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max())
    return max(worst, float(np.finfo(np.float64).tiny)) if np.isfinite(worst) else float("inf")


def table(rows: Sequence[Row]) -> str:
    """The rows under their columns' names, one line each."""
    lines = [COLUMNS, *[row.cells() for row in rows]]
    widths = [max(len(line[k]) for line in lines) for k in range(len(COLUMNS) - 1)]
    is_number = [2 <= k <= 6 for k in range(len(widths))]
    return "\n".join(
        "  ".join(
            [cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(line, widths, is_number)]
            + [line[-1]]
        )
        for line in lines
    )


def _array(values: Any) -> np.ndarray:
    if isinstance(values, Tensor):
        return values.detach().cpu().numpy()
    return np.asarray(values)
