"""A full disk, folders with odd names, folders that cannot be written."""

import json
import os
import resource
import shutil
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from epymarl_lite.utils import files
from registry import recorder
from registry.records import COMPLETED, FAILED, STALE, read_records, run_status
from registry.resume import resume
from tests.registry.command import FOLDER, assert_same_run, in_a_child, run


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test stands in a folder of its own, uses the embedded host, and tries again without a pause."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYMARL_HOST", "embedded")
    monkeypatch.setattr(recorder, "PAUSE_S", 0.0)
    monkeypatch.setattr(files, "_WAIT_S", 0.0)


def whole_json(folder: Path) -> None:
    """No json file is cut short, and every whole line of the record can be read."""
    for path in folder.glob("*.json"):
        json.loads(path.read_text())
    assert read_records(folder)


@pytest.mark.slow
@pytest.mark.parametrize("room", [30_000, 100_000, 130_000])
def test_files_that_may_not_grow_fail_the_run_and_room_lets_it_go_on(
    room: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """The system refuses every write beyond `room` bytes a file, as a full disk would, without being root."""

    def act() -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        return run(local_results_path="small")

    small = Path("small/sacred/mvd/async-poac-1/1")
    assert 0 == run()  # first, so that the child finds all code compiled
    capfd.readouterr()
    assert 1 == in_a_child(act)
    told = capfd.readouterr().err
    assert "File too large" in told and "Traceback" not in told
    assert run_status(small) in (FAILED, STALE)
    whole_json(small)
    assert 0 == resume(small)
    assert COMPLETED == run_status(small)
    assert_same_run(FOLDER, small)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets us mount no file system; the test above needs none")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
def test_a_full_disk_fails_the_run_and_room_lets_it_go_on(
    tiny_disk: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert 1 == run(local_results_path=str(tiny_disk / "results"), save_model=True, save_model_interval=40)
    told = capfd.readouterr().err
    assert "No space left on device" in told and "Traceback" not in told
    folder = tiny_disk / FOLDER
    assert run_status(folder) in (FAILED, STALE)
    whole_json(folder)
    subprocess.run(["mount", "-o", "remount,size=64m", str(tiny_disk)], check=True)
    assert 0 == run(save_model=True, save_model_interval=40)
    assert 0 == resume(folder)
    assert_same_run(FOLDER, folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["with a space", "Ergebnisse-für-χ", "it's (odd), [really]"])
def test_results_may_lie_in_a_folder_of_any_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a working directory and as local_results_path."""
    here = tmp_path / name
    here.mkdir()
    monkeypatch.chdir(here)
    assert 0 == run(t_max=40, local_results_path=f"{tmp_path}/{name}/out put", save_model=True)
    folder = here / "out put/sacred/mvd/async-poac-1/1"
    assert COMPLETED == run_status(folder)
    assert 0 == run(checkpoint_path=f"{folder}/models", evaluate=True)
    assert COMPLETED == run_status(FOLDER)


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_results_folder_without_permission_is_refused_before_the_start(
    mode: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The command runs as a user whom permissions bind: root gives itself up first."""
    locked = tmp_path / "locked"
    locked.mkdir()
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    locked.chmod(mode)

    def act() -> int:
        if os.getuid() == 0:
            os.setuid(65534)
        return run(local_results_path=str(locked / "results"))

    assert 0 == run(t_max=40)  # so that the child finds all code compiled and imported
    capfd.readouterr()
    assert 2 == in_a_child(act)
    told = [line for line in capfd.readouterr().err.splitlines() if "results cannot be written there" in line]
    assert 1 == len(told) and "no permission to write" in told[0]
    locked.chmod(0o755)
    assert [] == list(locked.iterdir())
