"""The best networks of a run so far: those with the highest mean test return, in `models/best`."""

import json
import shutil
from pathlib import Path
from typing import Any, Mapping

import torch as th

from epymarl_lite.utils.files import write_folder

FOLDER, FILE = "best", "best.json"
BAD_BEST = "{path}: damaged ({error}). Take the last networks, or resume the run."


def read_best(folder: Path) -> tuple[int, float]:
    """(environment steps, mean return) of the test that chose the networks in `folder`, a run's `models/best`.

    Raises:
        ValueError: best.json is missing or damaged; one line.
    """
    path = Path(folder) / FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return int(told["t_env"]), float(told["return_mean"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(BAD_BEST.format(path=path, error=error)) from error


class Best:
    """Keeps `models/best`: the networks, and best.json with t_env, return_mean and n of the test that chose them.

    Of equal tests the first one counts. The folder goes into checkpoints, so that a resumed run takes up what was
    best at its checkpoint and not what a process that was killed found afterwards.

    Args:
        folder: the run's `models`.
        is_wanted: False keeps nothing and touches nothing.
    """

    def __init__(self, folder: Path, is_wanted: bool):
        self._path = Path(folder) / FOLDER
        self._is_wanted = is_wanted
        self._told: dict[str, Any] | None = None

    def begin(self) -> None:
        """A run begins: what lies there is of a process that was killed before its first checkpoint."""
        if not self._is_wanted:
            return
        self._told = None
        for left in (self._path, *self._path.parent.glob(f".{FOLDER}.*")):
            shutil.rmtree(left, ignore_errors=True)

    def consider(self, learner: Any, results: Mapping[str, float]) -> bool:
        """Keep the networks if their test was better than every one before.

        Args:
            learner: has `save_models(folder)`.
            results: of `epymarl_lite.results.summary`.

        Returns:
            whether they were kept.

        Raises:
            WriteError: the disk refused twice; the best before are still there.
        """
        if not self._is_wanted or (self._told and results["return"] <= self._told["return_mean"]):
            return False
        told = {"t_env": results["t_env"], "return_mean": results["return"], "n": results["n_episodes"]}

        def fill(aside: Path) -> None:
            learner.save_models(str(aside))
            (aside / FILE).write_text(json.dumps(told) + "\n", encoding="utf-8")

        write_folder(self._path, fill)
        self._told = told
        return True

    def resume_state(self) -> dict[str, Any] | None:
        """The folder's files as bytes, and what chose them; None if nothing was kept."""
        if self._told is None:
            return None
        files = {file.name: file.read_bytes() for file in sorted(self._path.iterdir())}
        return {
            "told": self._told,
            "files": {name: th.frombuffer(bytearray(content), dtype=th.uint8) for name, content in files.items()},
        }

    def load_resume_state(self, state: Mapping[str, Any] | None) -> None:
        """Go on from `resume_state`; the folder becomes what it was then."""
        self.begin()
        if state is None:
            return
        self._told = dict(state["told"])

        def fill(aside: Path) -> None:
            for name, content in state["files"].items():
                (aside / name).write_bytes(content.numpy().tobytes())

        write_folder(self._path, fill)
