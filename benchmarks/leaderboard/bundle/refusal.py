"""Why a bundle is refused, in words that are safe to print."""

import unicodedata
from typing import Iterable

__all__ = ["MOST", "Refused", "harmless"]

MOST = 20  # reasons told; what follows is counted
MORE = "and {n} more reasons of this kind."
HARMFUL = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")  # control, direction and invisible characters, line ends


class Refused(ValueError):
    """A bundle, or a results folder, that is not accepted.

    Attributes:
        reasons: one line each.
    """

    def __init__(self, *reasons: str):
        told = [harmless(reason, 600) for reason in reasons[:MOST]]
        if len(reasons) > MOST:
            told.append(MORE.format(n=len(reasons) - MOST))
        self.reasons = tuple(told)
        super().__init__(" ".join(told))

    @classmethod
    def unless_empty(cls, reasons: Iterable[str]) -> None:
        """Raise if there is a reason."""
        found = tuple(reasons)
        if found:
            raise cls(*found)


def harmless(text: object, most: int = 200) -> str:
    """`text` on one line, without characters that steer a terminal or hide, at most `most` long."""
    words = " ".join(str(text).split())
    shown = "".join("?" if unicodedata.category(letter) in HARMFUL else letter for letter in words)
    return shown if len(shown) <= most else shown[: most - 1] + "…"
