"""What happens through the command when checkpoints or saved models are damaged, foreign, old or malicious."""

import hashlib
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any, Callable

import pytest
import torch

from epymarl_lite import checkpoint
from epymarl_lite.checkpoint import saved_steps
from plugins.runners.vector import VectorRunner
from registry.records import COMPLETED, FAILED, INTERRUPTED, read_records, run_status
from registry.resume import resume
from tests.registry.command import FOLDER, assert_equal, assert_same_run, models, run


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test stands in a folder of its own and uses the embedded host."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYMARL_HOST", "embedded")


def run_in(root: Path, stop_before: int | None = None, **changes: Any) -> Path:
    """A run below `root`, stopped by SIGTERM before its `stop_before`-th rollout; its folder."""
    count = [0]
    play = VectorRunner.run

    def counted(self: Any, test_mode: bool = False) -> Any:
        count[0] += 1
        if count[0] == stop_before:
            os.kill(os.getpid(), signal.SIGTERM)
        return play(self, test_mode)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("EPYMARL_HOST", "embedded")
        patch.setattr(VectorRunner, "run", counted)
        assert (0 if stop_before is None else 143) == run(**changes)
    return next((root / "results/sacred").glob("*/*/1"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run left alone; it saved models at steps 40, 120, 200 and 280."""
    return run_in(tmp_path_factory.mktemp("whole"), save_model=True, save_model_interval=80)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, interrupted after four rollouts; checkpoints 120 and 160 are there."""
    folder = run_in(tmp_path_factory.mktemp("stopped"), 4, save_model=True, save_model_interval=80)
    assert INTERRUPTED == run_status(folder)
    return folder


@pytest.fixture
def run_folder(stopped: Path, tmp_path: Path) -> Path:
    """A copy of the interrupted run."""
    return Path(shutil.copytree(stopped, tmp_path / "runs" / "1"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.slow
@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
@pytest.mark.parametrize("name", ["state.pt", "manifest.json", "segment"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_gives_the_same_end(
    harm: Callable[[Path], None], name: str, run_folder: Path, whole: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    newest = saved_steps(run_folder / "checkpoints")[0]
    file = run_folder / "checkpoints" / str(newest) / name
    if name == "segment":
        segments = (run_folder / "checkpoints" / "buffer").glob("*.seg")
        file = max(segments, key=lambda path: int(path.stem.split("-")[1]))
    harm(file)
    assert 0 == resume(run_folder)
    told = capfd.readouterr().err
    assert str(file) in told and "Trying the checkpoint before it" in told
    assert COMPLETED == run_status(run_folder)
    assert_same_run(whole, run_folder)


def remove_folder(folder: Path, stopped: Path) -> None:
    shutil.rmtree(folder)


def empty_folder(folder: Path, stopped: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def ruin_all(folder: Path, stopped: Path) -> None:
    for state in folder.glob("*/state.pt"):
        cut(state)


def make_older(folder: Path, stopped: Path) -> None:
    sign_all(folder, schema=0)


def make_malicious(folder: Path, stopped: Path) -> None:
    for state in folder.glob("*/state.pt"):
        torch.save({"runner": Malice()}, state)
    sign_all(folder)


class Malice:
    """Unpickled with trust, it makes a folder."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("owned",)


def sign_all(folder: Path, **changes: Any) -> None:
    """Manifests that fit the files beside them, as a forger would write them."""
    for path in folder.glob("*/manifest.json"):
        manifest = {**json.loads(path.read_text())["manifest"], **changes}
        content = (path.parent / "state.pt").read_bytes()
        manifest["state"] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        path.write_text(json.dumps({"manifest": manifest, "sha256": checkpoint._digest(manifest)}))


@pytest.mark.parametrize(
    "harm, line",
    [
        (remove_folder, "no checkpoint is there"),
        (empty_folder, "no checkpoint is there"),
        (ruin_all, "state.pt: damaged (its SHA-256 differs from the manifest's). No earlier checkpoint"),
        (make_older, "manifest.json: has schema 0, this version reads 2. Use the version that wrote it."),
        (make_malicious, "state.pt: cannot be read, it holds more than tensors, numbers and texts."),
    ],
)
def test_checkpoints_that_cannot_be_used_are_one_line_and_the_record_stays(
    harm: Callable[[Path, Path], None],
    line: str,
    run_folder: Path,
    stopped: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = (run_folder / "records.jsonl").read_bytes()
    harm(run_folder / "checkpoints", stopped)
    assert 1 == resume(run_folder)
    told = capfd.readouterr().err
    assert 1 == len([said for said in told.splitlines() if line in said and not said.startswith("[")])
    assert "Traceback" not in told
    assert FAILED == run_status(run_folder)
    assert (run_folder / "records.jsonl").read_bytes().startswith(before)
    assert not Path("owned").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{"config": "qmix"}, {"env_args.key": "async:poac-2"}, {"hidden_dim": 9}],
    ids=["another algorithm", "another task", "another size"],
)
def test_a_foreign_checkpoint_is_refused_by_name(
    changes: dict[str, Any], run_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    other = run_in(tmp_path / "other", t_max=80, **changes)
    shutil.rmtree(run_folder / "checkpoints")
    shutil.copytree(other / "checkpoints", run_folder / "checkpoints")
    before = (run_folder / "records.jsonl").read_bytes()
    capfd.readouterr()
    assert 1 == resume(run_folder)
    told = [said for said in capfd.readouterr().err.splitlines() if "does not fit this configuration" in said]
    assert told and str(run_folder / "checkpoints") in told[-1]
    assert (run_folder / "records.jsonl").read_bytes().startswith(before)


def evaluate(folder: Path, **changes: Any) -> int:
    return run(checkpoint_path=str(folder / "models"), evaluate=True, test_nepisode=5, **changes)


@pytest.mark.parametrize("asked, found", [(0, 280), (120, 120), (150, 120), (170, 200), (9999, 280)])
def test_evaluation_plays_the_models_nearest_to_load_step_and_learns_nothing(
    asked: int, found: int, whole: Path
) -> None:
    assert [280, 200, 120, 40] == saved_steps(whole / "models")
    assert 0 == evaluate(whole, load_step=asked)
    records = read_records(FOLDER)
    tests = [record for record in records if record["kind"] == "test"]
    assert [(found, 5)] == [(record["t_env"], len(record["episodes"])) for record in tests]
    assert "loss" not in {record.get("name") for record in records}
    assert not (FOLDER / "models").exists() and not (FOLDER / "checkpoints").exists()


def test_training_goes_on_from_saved_models_at_their_step(whole: Path) -> None:
    """checkpoint_path without evaluate; a batch of 4 episodes cannot learn from the one rollout of 2 played."""
    assert 0 == run(
        checkpoint_path=str(whole / "models"), load_step=120, t_max=121, save_model=True, batch_size=4
    )
    assert {160} == {record["t_env"] for record in read_records(FOLDER) if "t_env" in record}
    assert_equal(models(whole, 120), models(FOLDER, 160))


def save_nothing(folder: Path) -> None:
    shutil.rmtree(folder / "280")
    (folder / "280").mkdir()


def save_text(folder: Path) -> None:
    (folder / "280" / "agent.th").write_text("not a model")


def cut_agent(folder: Path) -> None:
    agent = folder / "280" / "agent.th"
    agent.write_bytes(agent.read_bytes()[: agent.stat().st_size // 2])


def save_malice(folder: Path) -> None:
    torch.save({"fc1.weight": Malice()}, folder / "280" / "agent.th")


@pytest.mark.parametrize("harm", [save_nothing, save_text, cut_agent, save_malice])
def test_bad_model_files_end_the_command_in_one_line_and_run_nothing(
    harm: Callable[[Path], None], whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(whole / "models", copy / "models")
    harm(copy / "models")
    assert 1 == evaluate(copy)
    told = capfd.readouterr().err
    assert f"{copy / 'models' / '280' / 'agent.th'}: " in told
    assert "Traceback" not in told and FAILED == run_status(FOLDER)
    assert not Path("owned").exists()


def test_models_of_another_size_are_refused_by_name(whole: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert 1 == evaluate(whole, hidden_dim=9)
    assert "The checkpoint is of another algorithm, task or size" in capfd.readouterr().err


def test_playing_without_a_model_or_a_replay_of_a_family_without_one_is_refused(
    whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for changes, line in (
        ({"evaluate": True}, "evaluate=True plays a saved model: which one? Add checkpoint_path"),
        ({"save_replay": True}, "save_replay=True plays a saved model: which one? Add checkpoint_path"),
        ({"save_replay": True, "checkpoint_path": str(whole / "models")}, "this family saves no replays"),
    ):
        assert 2 == run(**changes)
        told = [said for said in capfd.readouterr().err.splitlines() if not said.startswith("[INFO")]
        assert 1 == len(told) and line in told[0]
    assert [] == list(tmp_path.iterdir())
