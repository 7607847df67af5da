"""Bundles that many tests look at: one of made-up runs, right up to tier 2, and one of real runs."""

import json
import os
from pathlib import Path
from unittest import mock

import pytest

from benchmarks.leaderboard import protocol as protocols
from benchmarks.leaderboard.cells import FINISHED, Book, cells_of, write_book
from registry.evaluation_report import evaluate_run
from registry.launch import main as train
from tests.benchmarks.leaderboard.bundle.builders import Files, files_of, small_protocol, submit, write_results

REAL = {
    "paper": True, "batch_size": 4, "buffer_size": 16, "hidden_dim": 8, "batch_size_run": 4, "log_interval": 500,
    "epsilon_anneal_time": 100,
}  # fmt: skip


@pytest.fixture(scope="session")
def right_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of four made-up runs."""
    return write_results(tmp_path_factory.mktemp("right") / "results")


@pytest.fixture(scope="session")
def right_bundle(right_results: Path) -> Path:
    """Its bundle, a zip file."""
    return submit(right_results, right_results.parent / "right.zip")


@pytest.fixture(scope="session")
def right(right_bundle: Path) -> Files:
    """The files of that bundle."""
    return files_of(right_bundle)


@pytest.fixture(scope="session")
def real_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of two runs that were trained, tested three times and evaluated, each a few seconds long."""
    results = tmp_path_factory.mktemp("real") / "results"
    protocol = small_protocol(algorithms=("vdn",), tasks={"async:poac-1": 1000}, settings=REAL, absolute_episodes=6)
    results.mkdir()
    (results / "protocol.json").write_text(json.dumps(protocols.as_dict(protocol)))
    for cell in cells_of(protocol, results):
        words = [f"{name}={value}" for name, value in cell.settings.items()]
        with mock.patch.dict(os.environ, EPYMARL_HOST="embedded"):
            flags = ["main.py", f"--config={cell.algorithm}", "-C", "no", "with"]
            assert train([*flags, *words, f"local_results_path={cell.folder}", "progress=False"]) == 0
        run = cell.run()
        assert run is not None
        evaluate_run(run, "best", protocol.absolute_episodes, out=cell.folder / "evaluation", with_last=True)
        place = run.relative_to(cell.folder).as_posix()
        write_book(cell.folder, Book(cell.task.key, cell.algorithm, cell.seed, FINISHED, None, 1, place, "w", 1.0, 2.0))
    return results


@pytest.fixture(scope="session")
def real_bundle(real_results: Path) -> Path:
    """Its bundle, a zip file."""
    return submit(real_results, real_results.parent / "real.zip")


@pytest.fixture(scope="session")
def real(real_bundle: Path) -> Files:
    """The files of that bundle."""
    return files_of(real_bundle)
