"""What a dry run measures."""

import tempfile
from pathlib import Path

import pytest

from benchmarks.leaderboard import calibration
from benchmarks.leaderboard.calibration import Cost, buffer_bytes, checked_config, measure, steps_per_second, sum_of
from benchmarks.leaderboard.cells import Cell, Chosen, cells_of
from benchmarks.leaderboard.protocol import load
from registry.recorder import Recorder
from tests.benchmarks.leaderboard.crowd import tiny


def test_only_the_time_after_learning_has_begun_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 32 episodes: 40 episodes at second 100 and step 900; 20 s later step 1,500."""
    clock = [0.0]
    monkeypatch.setattr("registry.recorder.time.time", lambda: clock[0])
    with Recorder(tmp_path) as recorder:
        for second, step, episodes in ((10.0, 100, 8), (100.0, 900, 40), (110.0, 1_300, 48), (120.0, 1_500, 56)):
            clock[0] = second
            recorder.metric("episode", episodes, step)
            recorder.metric("loss", 1.0, step)
    assert (1_500 - 900) / 20 == steps_per_second(tmp_path, 32)
    assert steps_per_second(tmp_path, 57) is None, "learning never began"


def test_a_cost_is_a_start_and_so_many_steps() -> None:
    assert 12.0 == Cost(startup_s=2.0, rate=50.0, memory=1).seconds(500)
    assert Cost(startup_s=2.0, rate=None, memory=1).seconds(500) is None


def test_the_sum_takes_the_largest_that_are_at_work_together(tmp_path: Path) -> None:
    """Three cells of 1,000 steps at 10 steps/s: 5 min of work, half with two workers, who hold 3 and 2 GB at most."""
    cells = cells_of(tiny(tasks=[{"key": "async:poac-1", "t_max": 1_000}], seeds=[1]), tmp_path)
    costs = [Cost(0.0, 10.0, gb * 10**9) for gb in (1, 3, 2)]
    told = "3 cells to run: about 5 min of work, 2 min with 2 workers of this machine and up to 5.0 GB of memory."
    assert told == sum_of(list(zip(cells, costs)), 2)
    unknown = sum_of([*zip(cells, costs[:2]), (cells[2], Cost(0.0, None, 1))], 1)
    assert "about 3 min of work" in unknown and "; 1 could not be measured." in unknown


def smoke_cell(folder: Path) -> Cell:
    """MVD on the relay, as the smoke protocol has it."""
    chosen = Chosen(algorithms=("mvd",), tasks=("async:tabular-relay",), seeds=(1,))
    (cell,) = cells_of(load("smoke"), folder, chosen)
    return cell


def test_a_buffer_grows_with_its_episodes(tmp_path: Path) -> None:
    config = checked_config(smoke_cell(tmp_path))
    assert 0 < buffer_bytes({**config, "buffer_size": 10}) < buffer_bytes({**config, "buffer_size": 20})


@pytest.mark.slow
def test_a_measurement_trains_for_real_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "LIMIT_S", 1200.0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cell = smoke_cell(tmp_path / "results")
    cost = measure(cell, checked_config(cell), 0.5)
    assert cost.rate is not None and cost.rate > 1 and cost.startup_s > 0.1
    assert 50e6 < cost.memory < 5e9
    assert [] == list(tmp_path.iterdir())
