"""`python -m registry evaluate`: the networks of a run, named in three ways, and the files that are left."""

import hashlib
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from async_envs.core.seeding import episode_seed
from epymarl_lite.utils import files
from registry.evaluation import Episode, evaluate, load_weights, replay
from registry.provenance import environment_hash
from registry.records import read_records
from tests.registry.command import invoke, run

ask = partial(invoke, "evaluate")
FILES = ["agent.safetensors", "episodes.jsonl", "evaluation.json"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test stands in a folder of its own and uses the embedded host."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYMARL_HOST", "embedded")


def trained(root: Path, **changes: Any) -> Path:
    """The folder of a tiny run below `root`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("EPYMARL_HOST", "embedded")
        assert 0 == run(use_cuda=False, lr=0.05, **changes)
    return next((root / "results/sacred").glob("*/*/1"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of MVD whose battles are fought to their ends: its tests differ, and the best is not the first."""
    root = tmp_path_factory.mktemp("whole")
    often = {"test_interval": 300, "save_model_interval": 300, "checkpoint_interval": 700, "test_nepisode": 4}
    folder = trained(root, env_args__episode_limit=None, t_max=2400, save_model=True, save_best_model=True, **often)
    tests = list(means(folder).values())
    assert len(set(tests)) > 4 and max(tests) != tests[0]
    return folder


@pytest.fixture(scope="module")
def steps(whole: Path) -> list[int]:
    """Steps at which networks were saved, latest first."""
    return sorted((int(path.name) for path in (whole / "models").iterdir() if path.name.isdigit()), reverse=True)


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """The run once more, for this test alone."""
    return Path(shutil.copytree(whole, tmp_path / "mvd" / "task" / "1"))


def means(folder: Path) -> dict[int, float]:
    """Step -> mean return of the test there, from the record."""
    return {
        record["t_env"]: float(np.mean([episode["return"] for episode in record["episodes"]]))
        for record in read_records(folder)
        if record["kind"] == "test"
    }


def read(out: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    assert FILES == sorted(path.name for path in out.iterdir())
    report = json.loads((out / "evaluation.json").read_text())
    return report, [json.loads(line) for line in (out / "episodes.jsonl").read_text().splitlines()]


def test_the_best_networks_are_evaluated_and_everything_is_kept(folder: Path) -> None:
    code, told, _ = ask("--run", str(folder), "--episodes", "7")
    report, episodes = read(folder / "evaluation")
    tests = means(folder)
    best = max(tests, key=lambda step: tests[step])
    assert {"schema", "step", "test_return", "n", "environment", "config"} == set(report)
    assert (1, best, 7) == (report["schema"], report["step"], report["n"])
    assert pytest.approx(tests[best], abs=1e-12) == report["test_return"]
    assert environment_hash("async:poac-1", {}) == report["environment"]
    assert 8 == report["config"]["hidden_dim"] and "local_results_path" not in report["config"]
    assert [episode_seed(4, "absolute", k) for k in range(7)] == [episode["seed"] for episode in episodes]
    assert 0 == code and f"mvd on async:poac-1, networks of step {best:,}: win rate 0.000" in told
    assert f"{np.mean([episode['return'] for episode in episodes]):.3f} ± " in told


def test_the_files_alone_say_what_is_to_be_found_again(folder: Path) -> None:
    """Networks and actions from the files, played again, give the values in the files."""
    assert 0 == ask("--run", str(folder), "--episodes", "5", "--model", "last")[0]
    report, rows = read(folder / "evaluation")
    episodes = [
        Episode(row.pop("seed"), {**row, "actions": None}, np.array(row.pop("actions"))) for row in rows
    ]
    weights = load_weights(folder / "evaluation" / "agent.safetensors")
    again = evaluate(report["config"], weights, [episode.seed for episode in episodes])
    assert rows == [episode.values for episode in again]
    assert rows == replay("async:poac-1", report["config"]["env_args"], episodes)


def test_networks_are_named_by_best_last_or_step(folder: Path, steps: list[int]) -> None:
    """The last ones come from the checkpoint, those of an early step from the models."""
    best = json.loads((folder / "models/best/best.json").read_text())["t_env"]
    for model, file, step in (
        ("best", "models/best/agent.th", best),
        ("last", f"checkpoints/{steps[0]}/state.pt", steps[0]),
        (str(steps[-1]), f"models/{steps[-1]}/agent.th", steps[-1]),
    ):
        code, _, error = ask("--run", str(folder), "--model", model, "--episodes", "1", "--out", model)
        assert 0 == code, error
        saved = torch.load(folder / file, weights_only=True)
        saved = saved if file.endswith(".th") else saved["learner"]["agent"]
        weights = load_weights(f"{model}/agent.safetensors")
        assert all(torch.equal(saved[name], weights[name]) for name in saved) and len(saved) == len(weights)
        report = read(Path(model))[0]
        assert (step, pytest.approx(means(folder)[step])) == (report["step"], report["test_return"])


def test_held_out_episodes_are_others_and_of_any_seed(folder: Path) -> None:
    for name, words in {"a": [], "h": ["--seeds-from", "held_out"], "o": ["--seed", "9"]}.items():
        assert 0 == ask("--run", str(folder), "--episodes", "2", "--out", name, *words)[0]
    seeds = {name: [row["seed"] for row in read(Path(name))[1]] for name in "aho"}
    assert [episode_seed(4, "held_out", k) for k in range(2)] == seeds["h"]
    assert [episode_seed(9, "absolute", k) for k in range(2)] == seeds["o"]
    played = {episode["seed"] for record in read_records(folder) if record["kind"] == "test"
              for episode in record["episodes"]}  # fmt: skip
    assert 6 == len({*seeds["a"], *seeds["h"], *seeds["o"]} - played)


def test_an_evaluation_is_the_same_twice_and_replaces_the_one_before(folder: Path) -> None:
    def digests() -> dict[str, str]:
        return {name: hashlib.sha256((folder / "evaluation" / name).read_bytes()).hexdigest() for name in FILES}

    assert 0 == ask("--run", str(folder), "--episodes", "3")[0]
    first = digests()
    assert 0 == ask("--run", str(folder), "--episodes", "4")[0]
    assert first != digests()
    assert 0 == ask("--run", str(folder), "--episodes", "3")[0]
    assert first == digests()


def test_a_full_disk_leaves_the_evaluation_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 == ask("--run", str(folder), "--episodes", "2")[0]
    before = read(folder / "evaluation")
    write_text = Path.write_text

    def full(path: Path, *given: Any, **more: Any) -> int:
        if path.name == "episodes.jsonl":
            raise OSError(28, "No space left on device")
        return write_text(path, *given, **more)

    monkeypatch.setattr(Path, "write_text", full)
    monkeypatch.setattr(files, "_WAIT_S", 0.0)
    code, _, error = ask("--run", str(folder), "--episodes", "3")
    monkeypatch.undo()
    assert 1 == code and "evaluation: could not be written" in error and 1 == error.count("\n")
    assert before == read(folder / "evaluation")
    assert [] == list(folder.glob(".evaluation*"))


@pytest.mark.parametrize("words, line", [
    (["--model", "77"], "no networks of step 77 lie there, expected best, last, "),
    (["--model", "../1"], "no networks of step ../1 lie there"),
    (["--episodes", "0"], "--episodes='0' is not accepted, expected a whole number of at least 1"),
    (["--seed", "-1"], "--seed='-1' is not accepted"),
    (["--seeds-from", "absolut"], "unknown stream of seeds 'absolut'. Did you mean 'absolute'"),
    (["--out", "."], "holds 'mvd', which is no file of an evaluation"),
])  # fmt: skip
def test_what_cannot_be_evaluated_is_one_line(words: list[str], line: str, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    code, _, error = ask("--run", str(folder), *words)
    assert (2, 1) == (code, error.count("\n")) and line in error
    assert before == sorted(folder.rglob("*"))


def test_networks_that_are_missing_or_damaged_are_one_line(folder: Path, steps: list[int]) -> None:
    def told(*words: str) -> str:
        code, _, error = ask("--run", str(folder), "--episodes", "1", *words)
        assert (2, 1) == (code, error.count("\n")), error
        return error

    (folder / f"models/{steps[-1]}/agent.th").write_bytes(b"damaged")
    assert f"models/{steps[-1]}/agent.th: cannot be read" in told("--model", str(steps[-1]))
    (folder / "models/best/best.json").write_text("{")
    assert "best.json: damaged" in told()
    shutil.rmtree(folder / "models/best")
    assert "no best model lies there. Train with save_best_model=True" in told()
    shutil.rmtree(folder / "models")
    shutil.rmtree(folder / "checkpoints")
    assert "neither models nor checkpoints lie there" in told("--model", "last")
    assert "no run lies there" in ask("--run", str(folder.parent))[2]


def test_a_task_that_has_changed_since_training_is_said(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 0 == ask("--run", str(folder), "--episodes", "1")[0]
    assert "has changed" not in caplog.text
    monkeypatch.setattr("registry.evaluation_report.environment_of", lambda config: "f" * 64)
    assert 0 == ask("--run", str(folder), "--episodes", "1")[0]
    assert "its task has changed since it was trained" in caplog.text


def test_the_networks_of_the_last_test_are_kept_where_asked(folder: Path, steps: list[int]) -> None:
    """From the checkpoint or, where it is gone, from the models; where both are gone or damaged, without them."""
    last = max(means(folder))
    saved = torch.load(folder / f"checkpoints/{last}/state.pt", weights_only=True)["learner"]["agent"]
    words = ["--run", str(folder), "--episodes", "1", "--with-last", "--out"]
    for name in ("checkpoint", "models"):
        assert 0 == ask(*words, name)[0]
        weights = load_weights(f"{name}/last.safetensors")
        assert all(torch.equal(saved[each], weights[each]) for each in saved) and len(saved) == len(weights)
        assert [*FILES, "last.safetensors"] == sorted(path.name for path in Path(name).iterdir())
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    (folder / f"models/{last}/agent.th").write_bytes(b"damaged")
    assert 0 == ask(*words, "damaged")[0] and read(Path("damaged"))
    shutil.rmtree(folder / f"models/{last}")
    assert 0 == ask(*words, "models")[0] and read(Path("models"))
    assert 0 == ask(*words[:-2], "--out", "unasked")[0] and read(Path("unasked"))
