"""Runs that are killed go on as if nothing had happened; runs that start together keep apart."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from epymarl_lite import checkpoint
from epymarl_lite.utils import files
from plugins.runners.vector import VectorRunner
from registry.recorder import Recorder
from registry.records import COMPLETED, RECORDS, STALE, read_records, run_status
from registry.resume import resume
from tests.registry.command import ENVIRONMENT, FOLDER, assert_same_run, in_a_child, run, words

PYTHON = [sys.executable, "-W", "ignore"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test stands in a folder of its own and uses the embedded host."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYMARL_HOST", "embedded")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a tiny run that was left alone."""
    root = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("EPYMARL_HOST", "embedded")
        assert 0 == run()
    yield root / FOLDER


def wait_for(condition: Any, process: subprocess.Popen[bytes] | None = None, limit_s: float = 120.0) -> None:
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        assert process is None or process.poll() is None, "it ended by itself"
        time.sleep(0.003)


@pytest.mark.slow
def test_five_kills_at_random_points_change_nothing() -> None:
    """kill -9 whenever the record has reached a random length, five times in one run of the real command."""
    given = {"t_max": 3000, "batch_size": 4, "buffer_size": 40, "checkpoint_interval": 150}
    given |= {"test_interval": 300, "save_model": True, "save_model_interval": 700, "save_best_model": True}
    whole = Path("whole/sacred/mvd/async-poac-1/1")
    command = [*PYTHON, *words(**given, local_results_path="whole")]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True)
    length = (whole / RECORDS).stat().st_size

    folder = Path("killed/sacred/mvd/async-poac-1/1")
    command = [*PYTHON, *words(**given, local_results_path="killed")]
    draw = random.Random(20)
    for point in sorted(draw.randrange(int(0.7 * length)) for _ in range(5)):
        process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        wait_for(lambda: (folder / RECORDS).exists() and (folder / RECORDS).stat().st_size > point, process)
        process.kill()
        assert -signal.SIGKILL == process.wait()
        assert STALE == run_status(folder)
        command = [*PYTHON, "-m", "registry", "resume", str(folder)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    assert COMPLETED == run_status(folder)
    assert_same_run(whole, folder)
    steps = [(r["name"], r["t_env"]) for r in read_records(folder) if r["kind"] == "metric"]
    assert len(steps) == len(set(steps))
    saved = {path.relative_to(whole): path.read_bytes() for path in (whole / "models").rglob("*.*")}
    assert saved == {path.relative_to(folder): path.read_bytes() for path in (folder / "models").rglob("*.*")}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run_and_die_in_checkpoint(number: int, moment: int) -> int:
    """A run that is killed while it writes its `number`-th checkpoint: at its `moment`-th flush to the disk,
    or, for moment 0, with state.pt half written."""
    count = {"checkpoints": 0, "flushes": 0}
    save, fsync, write_bytes = checkpoint.CheckpointStore.save, os.fsync, Path.write_bytes

    def counted_save(self: Any, *given: Any) -> Any:
        count["checkpoints"] += 1
        saved = save(self, *given)
        assert count["checkpoints"] < number, "it should have died"
        return saved

    def deadly_fsync(handle: int) -> None:
        if count["checkpoints"] == number:
            count["flushes"] += 1
            if count["flushes"] == moment:
                die()
        fsync(handle)

    def half(path: Path, content: bytes) -> int:
        if count["checkpoints"] == number and moment == 0 and path.name == checkpoint.STATE_FILE:
            write_bytes(path, content[: len(content) // 2])
            die()
        return write_bytes(path, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint.CheckpointStore, "save", counted_save)
        patch.setattr(files.os, "fsync", deadly_fsync)
        patch.setattr(Path, "write_bytes", half)
        return run()


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("moment", [0, 1, 2, 4, 6])
def test_a_kill_while_a_checkpoint_is_written_costs_nothing_but_time(
    number: int, moment: int, undisturbed: Path
) -> None:
    """The one before is loaded (the run begins again if there is none) and the end is the same."""
    assert -signal.SIGKILL == in_a_child(lambda: run_and_die_in_checkpoint(number, moment))
    assert STALE == run_status(FOLDER)
    assert 0 == resume(FOLDER)
    assert COMPLETED == run_status(FOLDER)
    assert_same_run(undisturbed, FOLDER)
    assert [] == [path.name for path in (FOLDER / "checkpoints").glob(".*")]


def run_and_die_in_rollout(number: int, **changes: Any) -> int:
    """A run that is killed when its `number`-th training rollout begins."""
    count = [0]
    play = VectorRunner.run

    def counted(self: Any, test_mode: bool = False) -> Any:
        count[0] += 1
        if count[0] == number:
            die()
        return play(self, test_mode)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VectorRunner, "run", counted)
        return run(**changes)


def test_a_run_killed_before_its_first_checkpoint_begins_again_and_says_so(
    undisturbed: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert -signal.SIGKILL == in_a_child(lambda: run_and_die_in_rollout(3, checkpoint_interval=120))
    assert len(read_records(FOLDER)) > 3
    assert 0 == resume(FOLDER)
    assert "ended before its first checkpoint; it begins again at step 0" in capfd.readouterr().err
    assert_same_run(undisturbed, FOLDER)


def test_lost_checkpoints_are_not_taken_for_none_written() -> None:
    """A run that once had checkpoints never silently begins again."""
    assert -signal.SIGKILL == in_a_child(lambda: run_and_die_in_rollout(6))
    for path in sorted((FOLDER / "checkpoints").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    before = (FOLDER / RECORDS).read_bytes()
    assert 1 == resume(FOLDER)
    assert (FOLDER / RECORDS).read_bytes().startswith(before)


def test_a_second_process_on_one_run_refuses_and_touches_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """`python -m registry resume` of a run that another process works on."""
    assert -signal.SIGKILL == in_a_child(lambda: run_and_die_in_rollout(4))

    def snapshot() -> dict[str, bytes]:
        kept = [path for path in FOLDER.rglob("*") if path.is_file() and path.name != "heartbeat.json"]
        return {str(path): path.read_bytes() for path in kept}

    with Recorder(FOLDER):  # as the first resumption holds it
        before = snapshot()
        command = [*PYTHON, "-m", "registry", "resume", str(FOLDER)]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert 2 == done.returncode
        assert "another process is writing this run" in done.stderr and 1 == done.stderr.count("\n")
        assert before == snapshot()
    assert 0 == resume(FOLDER)  # it goes on when the first has let go


@pytest.mark.slow
def test_two_resumptions_at_once_leave_one_run_undisturbed(undisturbed: Path) -> None:
    """Exactly one of them goes on; the other refuses, and the end is that of a run left alone."""
    assert -signal.SIGKILL == in_a_child(lambda: run_and_die_in_rollout(4))
    command = [*PYTHON, "-m", "registry", "resume", str(FOLDER)]
    both = [subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=120)[1] for process in both]
    statuses = [process.returncode for process in both]
    assert 0 in statuses, told
    loser = told[statuses.index(2)]
    assert "another process" in loser or "is COMPLETED" in loser
    assert_same_run(undisturbed, FOLDER)


@pytest.mark.slow
def test_eight_starts_at_once_in_one_results_folder_are_eight_whole_runs() -> None:
    """Eight processes, eight seeds: eight folders, each complete and each of its own seed."""
    processes = [
        subprocess.Popen(
            [*PYTHON, *words(t_max=40, seed=seed)], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
        )
        for seed in range(8)
    ]
    told = [process.communicate(timeout=300)[1] for process in processes]
    assert [0] * 8 == [process.returncode for process in processes], told
    folders = [FOLDER.parent / str(number) for number in range(1, 9)]
    seeds = []
    for folder in folders:
        assert COMPLETED == run_status(folder)
        seeds.append(json.loads((folder / "config.json").read_text())["seed"])
        assert "COMPLETED" == json.loads((folder / "run.json").read_text())["status"]
        tests = [record["t_env"] for record in read_records(folder) if record["kind"] == "test"]
        assert [40, 80] == tests
    assert set(range(8)) == set(seeds)
    others = {path.name for path in FOLDER.parent.iterdir()} - {folder.name for folder in folders}
    assert others <= {"_sources"}
