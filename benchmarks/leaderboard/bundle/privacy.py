"""What a bundle does not tell: where on whose machine a run lay."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.leaderboard.bundle.refusal import harmless

__all__ = ["Cleaner"]

HIDDEN = ("kind", "time")  # of a record; they say nothing about the run
LONGEST = 8000
ROOT = Path(__file__).resolve().parents[3]


class Cleaner:
    """Replaces folders of this machine in texts.

    Args:
        results: the results folder, which becomes `RESULTS`.
    """

    def __init__(self, results: Path):
        places = {
            str(results.absolute()): "RESULTS",
            str(results.resolve()): "RESULTS",
            str(ROOT): ".",
            os.path.dirname(os.path.abspath(sys.executable)): "PYTHON",
            str(Path(sys.executable).resolve().parent): "PYTHON",
            str(Path.home()): "HOME",
            os.path.abspath(tempfile.gettempdir()): "TEMP",
        }
        longest_first = sorted(places, key=len, reverse=True)
        self._places = [(path, places[path]) for path in longest_first if len(path) > 1]

    def text(self, given: str) -> str:
        """One line, without paths of this machine and without control characters."""
        for path, name in self._places:
            given = given.replace(path, name)
        return harmless(given, LONGEST)

    def value(self, given: Any) -> Any:
        """`given` with every text in it cleaned; the names that are not told are left out of objects."""
        if isinstance(given, dict):
            return {self.text(str(name)): self.value(value) for name, value in given.items() if name not in HIDDEN}
        if isinstance(given, (list, tuple)):
            return [self.value(item) for item in given]
        return self.text(given) if isinstance(given, str) else given
