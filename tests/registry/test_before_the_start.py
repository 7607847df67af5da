"""What is found out before anything is written: too little memory, packages that are missing."""

import subprocess
import sys
from pathlib import Path

import pytest

from epymarl_lite.components import memory
from registry.records import COMPLETED, run_status
from tests.registry.command import ENVIRONMENT, FOLDER, run, words

OPTIONAL = ("wandb", "tensorboard", "torch.utils.tensorboard", "matplotlib", "pymarlzooplus", "smaclite")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test stands in a folder of its own and uses the embedded host."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYMARL_HOST", "embedded")


@pytest.mark.parametrize("compact", [True, False])
def test_a_buffer_above_the_memory_is_refused_with_a_size_that_fits(
    compact: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With 100 MB free; the size that the line names is accepted, a tenth more is not."""
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**8)
    given = {"env_args.episode_limit": 600, "buffer_size": 500_000, "t_max": 10**9, "compact_buffer": compact}
    assert 2 == run(**given)
    told = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("[")]
    assert 1 == len(told) and "replay buffer: 500000 episodes need about" in told[0]
    assert compact == ("compact_buffer" not in told[0])
    assert [] == list(tmp_path.iterdir())
    fits = int(told[0].split("Set buffer_size=")[1].split(" ")[0])
    assert 2 == run(**{**given, "buffer_size": fits * 11 // 10 + 1})
    assert [] == list(tmp_path.iterdir())
    assert 0 == run(**{**given, "buffer_size": fits, "t_max": 600, "batch_size": 2, "checkpoint_interval": 0})


@pytest.mark.parametrize("name", ["wandb", "tensorboard"])
def test_asking_for_a_package_that_is_missing_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    assert 2 == run(**{f"use_{name}": True})
    told = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("[INFO")]
    assert 1 == len(told) and f"the package {name} is not installed. Run pip install {name}" in told[0]
    assert [] == list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_core_runs_without_any_optional_package() -> None:
    """As if none of them were installed: importing one is an error."""
    code = f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL!r}))\n"
    code += f"from registry.launch import main; sys.exit(main({words(t_max=80)!r}))"
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env={**ENVIRONMENT, "PYTHONPATH": root},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr[-2000:]
    assert COMPLETED == run_status(FOLDER)


def test_tensorboard_events_hold_what_was_logged() -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert 0 == run(t_max=80, use_tensorboard=True)
    events = next(Path("results").rglob("events.out.tfevents.*"))
    assert not set(str(events)) & set(": ")
    read = accumulator.EventAccumulator(str(events.parent))
    read.Reload()
    assert {"loss", "test_return_mean", "epsilon"} <= set(read.Tags()["scalars"])
    assert [40, 80, 120] == sorted({event.step for event in read.Scalars("loss")})
