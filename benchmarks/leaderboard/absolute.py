"""The absolute metric of a trained cell: its best model on episodes that no test of the training has seen.

`python -m benchmarks.leaderboard.absolute CELL RUN EPISODES` writes CELL/evaluation as `python -m registry evaluate`
does, whole or not at all.
"""

import sys
from pathlib import Path
from typing import Sequence

from benchmarks.leaderboard.cells import EVALUATION

__all__ = ["evaluate_cell", "main"]


def evaluate_cell(cell: Path, run: Path, n_episodes: int) -> None:
    """Play `n_episodes` episodes with the best model of `run`, and keep them in `cell`.

    Raises:
        ValueError: the best model is missing or damaged; one line.
        OSError: the disk refused; nothing is there.
    """
    from registry.evaluation_report import evaluate_run

    evaluate_run(run, "best", n_episodes, "absolute", cell / EVALUATION)


def main(argv: Sequence[str]) -> int:
    """The process; what is wrong is its last line and status 1."""
    cell, run, n_episodes = argv[1:]
    try:
        evaluate_cell(Path(cell), Path(run), int(n_episodes))
    except (ValueError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
