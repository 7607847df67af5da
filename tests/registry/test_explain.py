"""`python -m registry explain --checkpoint`: an episode of a run, its numbers as JSON, one line for every mistake."""

import json
import os
import pickle
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from async_envs.core.seeding import episode_seed
from plugins.mixers.explanation import MEANING
from registry import verify_report
from registry.records import read_records
from tests.registry.command import invoke
from tests.registry.test_verify import trained


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test stands in a folder of its own and uses the embedded host."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYMARL_HOST", "embedded")


ask = partial(invoke, "explain")


def told_by(*words: str) -> dict[str, Any]:
    """The JSON of an explanation."""
    code, told, error = ask(*words, "--out", "told.json")
    assert 0 == code, told + error
    report: dict[str, Any] = json.loads(Path("told.json").read_text())
    return report


def refused(*words: str) -> str:
    """The one line of an explanation that was refused."""
    code, told, error = ask(*words)
    assert (2, "") == (code, told) and 1 == error.count("\n"), error
    return error


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of MVD; models at steps 40, 120, 200 and 280, checkpoints at 240 and 280, two test episodes a test."""
    return trained(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """The run once more, for this test alone."""
    return Path(shutil.copytree(whole, tmp_path / "mvd" / "task" / "1"))


# what is told


def test_the_episode_is_the_runs_own_test_episode(whole: Path) -> None:
    """The last test was played with the networks of the last models: same seed, return, length, metrics."""
    tests = [record for record in read_records(whole) if record["kind"] == "test"]
    n_before = sum(len(record["episodes"]) for record in tests[:-1])
    assert 280 == tests[-1]["t_env"]
    for number, expected in enumerate(tests[-1]["episodes"], start=n_before):
        told = told_by("--checkpoint", str(whole / "models" / "280"), "--episode", str(number))["episode"]
        assert (number, expected["seed"], expected["length"]) == (told["number"], told["seed"], told["length"])
        assert expected["return"] == pytest.approx(told["return"], abs=1e-6)
        assert all(value == expected[name] for name, value in told["metrics"].items())
        assert told["seed"] == episode_seed(4, "test", number)


def test_the_json_holds_every_number_of_every_key_frame(folder: Path) -> None:
    code, shown, error = ask("--checkpoint", str(folder), "--episode", "0", "--frames", "4")
    assert 0 == code, error
    path = folder / "explained" / "280-4-0.json"
    assert shown.splitlines()[-1] == f"{path}: everything, with what each number is."
    told = json.loads(path.read_text())
    assert ["280-4-0.json"] == [each.name for each in path.parent.iterdir()]  # nothing half-written beside it
    assert ("mvd", "mvd", "async:poac-1", "mvd/task/1/checkpoints/280") == (
        told["algorithm"], told["mixer"], told["key"], told["weights"]["path"]
    )  # fmt: skip
    assert ["0", "1", "2", "0'", "1'", "2'"] == told["slots"] and 4 == len(told["frames"])
    assert told["course"]["step"] == list(range(told["episode"]["length"]))
    assert sum(told["course"]["reward"]) == pytest.approx(told["episode"]["return"])
    for frame in told["frames"]:
        step = frame["step"]
        assert frame["q_tot"] == told["course"]["q_tot"][step] and f"step {step} (" in shown
        assert frame["td_error"] == pytest.approx(frame["target"] - frame["q_tot"])
        assert [6] * 6 == [len(row) for row in frame["f"]] == [len(row) for row in frame["mixed"]]
        assert {"q", "slope", "gradient", "f", "mixed", *frame["own"]} == set(told["meaning"]) <= set(MEANING)
        status = [agent["status"] for agent in frame["agents"]]
        for i in range(3):
            assert (frame["agents"][i]["proxy"] is not None) == (status[i] == "executing")
            for j in range(3):
                is_pair = status[i] == "deciding" and status[j] == "executing"
                assert is_pair or frame["f"][i][3 + j] == frame["mixed"][i][3 + j] == 0
                assert frame["f"][i][j] == frame["f"][3 + i][3 + j] == 0


def test_seed_options_and_models_can_be_chosen(folder: Path) -> None:
    words = ("--checkpoint", str(folder / "models" / "120"), "--episode", "3")
    told = told_by(*words, "--seed", "9", "--frames", "1", "episode_limit=7", "bot=KAI1")
    assert (9, episode_seed(9, "test", 3)) == (told["episode"]["run_seed"], told["episode"]["seed"])
    assert (7, 1, {"episode_limit": 7, "bot": "KAI1"}) == (
        told["episode"]["length"], len(told["frames"]), told["options"]
    )  # fmt: skip
    assert "mvd/task/1/models/120" == told["weights"]["path"]
    again = told_by(*words, "--seed", "9", "--frames", "1", "episode_limit=7", "bot=KAI1")
    assert told["frames"] == again["frames"]
    assert not (folder / "explained").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["na2q_a", "qplex_a", "qatten", "shaq", "vdn", "avf_qmix", "ices"])
def test_runs_of_other_algorithms_are_explained(name: str, tmp_path: Path) -> None:
    told = told_by("--checkpoint", str(trained(tmp_path, config=name)), "--episode", "0")
    assert {"ices": "qmix"}.get(name, name) == told["mixer"] and told["frames"]
    labels = told["own_labels"]
    expected = {
        "na2q_a": {"credits", "terms"}, "qplex_a": {"lambda", "weight"}, "qatten": {"attention", "head_weight"},
        "shaq": {"alpha"},
    }.get(name, set())  # fmt: skip
    assert expected == set(labels) == set(told["frames"][0]["own"])
    if name == "na2q_a":
        assert ["0", "1", "2", "0'", "1'", "2'", "0 1", "0 2"] == labels["credits"][:8]
        credits = told["frames"][0]["own"]["credits"]
        assert 21 == len(credits) and sum(credits) == pytest.approx(1.0)


def test_a_file_that_cannot_be_written_comes_after_the_table(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, report: Any) -> None:
        raise OSError(f"{path}: could not be written (no space left)")

    monkeypatch.setattr(verify_report, "write_report", full)
    code, told, error = ask("--checkpoint", str(whole), "--episode", "0", "--out", "told.json")
    assert 1 == code and "Q_tot" in told and error == "told.json: could not be written (no space left)\n"


# what is refused


@pytest.mark.parametrize("words, line", [
    ((), "neither a task nor --checkpoint was given"),
    (("--episode", "0"), "--episode belongs to an episode of a run"),
    (("async:poac-1", "--out", "told.json"), "--out belongs to an episode of a run"),
    (("--checkpoint", "nowhere", "--episode", "0"), "nowhere: there is no such folder"),
    (("--checkpoint", ".", "--episode", "0"), "no run lies there"),
    (("--checkpoint", "."), "--episode is missing"),
    (("--checkpoint", ".", "--episode", "-1"), "explain: --episode='-1' is not accepted, expected a whole number from"),
    (("--checkpoint", ".", "--episode", "9" * 12), "is not accepted, expected a whole number from 0 to 2147483647"),
    (("--checkpoint", ".", "--episode", "first"), "explain: --episode='first' is not accepted"),
    (("--checkpoint", ".", "--episode", "0", "--frames", "0"), "explain: --frames='0' is not accepted"),
])  # fmt: skip
def test_bad_input_is_one_line(words: tuple[str, ...], line: str) -> None:
    assert line in refused(*words)
    assert [] == list(Path().iterdir())


@pytest.mark.parametrize("words, line", [
    (("async:poac-1",), "both a task (async:poac-1) and --checkpoint were given"),
    (("--seed", "x"), "explain: --seed='x' is not accepted"),
    (("--out", "nowhere/told.json"), "explain: --out=nowhere/told.json: cannot be written"),
    (("bott=KAI1",), "Did you mean 'bot'"),
    (("episode_limit=0",), "episode_limit=0 is not accepted"),
])  # fmt: skip
def test_bad_input_beside_a_run_is_one_line(whole: Path, words: tuple[str, ...], line: str) -> None:
    assert line in refused("--checkpoint", str(whole), "--episode", "0", *words)


@pytest.mark.parametrize("change, line", [
    ({"mixer": None, "learner": "ppo", "name": "ippo"}, "algorithm 'ippo' has no mixer (learner='ppo')"),
    ({"learner": "q_learner"}, "has no mixer (learner='q_learner')"),
    ({"env": "gymma"}, "the run's task async:poac-1 is not one of ours"),
    ({"mvd_order": 4}, "mvd_order=4 is not accepted with 3 agents"),
    ({"hidden_dim": 9}, "another algorithm, task or size"),
    ({"mixer": "vdn_a", "learner": "vdn_a_learner"}, "the checkpoint is of mixer='mvd', its run of 'vdn_a'"),
])  # fmt: skip
def test_a_run_that_cannot_be_explained_is_one_line(folder: Path, change: dict[str, Any], line: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    assert line in refused("--checkpoint", str(folder / "checkpoints"), "--episode", "0")
    assert not (folder / "explained").exists()


class Trap:
    """Makes the folder `sprung` when a careless reader unpickles it."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("sprung",)


@pytest.mark.parametrize("file", ["agent.th", "mixer.th"])
def test_tampered_models_are_refused_and_run_nothing(folder: Path, file: str) -> None:
    path = folder / "models" / "280" / file
    words = ("--checkpoint", str(path.parent), "--episode", "0")
    whole = path.read_bytes()
    path.write_bytes(pickle.dumps(Trap()))
    assert f"{file}: cannot be read" in refused(*words)
    torch.save({"weight": Trap()}, path)
    assert f"{file}: cannot be read" in refused(*words)
    assert not Path("sprung").exists()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle])
    assert f"{file}: cannot be read" in refused(*words)
    path.write_bytes(whole)
    assert 0 == ask(*words)[0]


def test_a_checkpoint_with_one_bit_changed_is_refused(folder: Path) -> None:
    path = folder / "checkpoints" / "280" / "state.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert "280" in refused("--checkpoint", str(path.parent), "--episode", "0")
