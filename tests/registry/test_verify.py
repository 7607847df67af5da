"""`python -m registry verify`: finds runs and their networks, tells what it saw, refuses the rest in one line."""

import hashlib
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from benchmarks import verify_gpu
from plugins.vsp.environment import VSP
from plugins.vsp.verify.rows import NOT_EXERCISED, VIOLATED
from registry import catalog
from registry import verify as verification
from registry import verify_report
from registry.verify_request import check_request
from tests.plugins.vsp.test_verification import ON_A_GPU
from tests.registry.command import invoke, run

KEY = ("--key", "async:poac-1")
FRESH = (*KEY, "--config", "mvd", "--episodes", "2", "episode_limit=20")
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="here is a CUDA device")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test stands in a folder of its own and uses the embedded host."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYMARL_HOST", "embedded")


ask = partial(invoke, "verify")


def report_of(*words: str) -> dict[str, Any]:
    """The JSON of a verification that found nothing wrong."""
    code, told, error = ask(*words, "--out", "report.json")
    assert 0 == code, told + error
    report: dict[str, Any] = json.loads(Path("report.json").read_text())
    return report


def trained(root: Path, **changes: Any) -> Path:
    """The folder of a tiny run below `root` with models and checkpoints."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("EPYMARL_HOST", "embedded")
        assert 0 == run(save_model=True, save_model_interval=80, use_cuda=False, **changes)
    return next((root / "results/sacred").glob("*/*/1"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of MVD; models at steps 40, 120, 200 and 280, checkpoints at 240 and 280."""
    return trained(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """The run once more, for this test alone."""
    return Path(shutil.copytree(whole, tmp_path / "mvd" / "task" / "1"))


# what is seen


def test_fresh_networks_pass_and_the_table_says_what_was_seen() -> None:
    code, told, _ = ask(*FRESH)
    lines = told.splitlines()
    assert 0 == code and 1 + 3 * 20 + 1 == len(lines)
    assert lines[0].split() == ["check", "policy", "episodes", "steps", "rows", "worst", "limit", "verdict"]
    assert lines[-1].startswith("mvd on async:poac-1 (fresh networks, cpu): ")
    n_said = sum(line.count(NOT_EXERCISED) for line in lines[1:-1])
    assert lines[-1].endswith(f": {60 - n_said} holds, {n_said} not exercised, 0 VIOLATED.")


@pytest.mark.parametrize("device", ["cpu", ON_A_GPU])
def test_the_json_holds_all_that_the_table_depends_on(device: str) -> None:
    report = report_of(*FRESH, "--seed", "5", "--device", device)
    assert (1, "async:poac-1", {"episode_limit": 20}, "mvd") == tuple(
        report[name] for name in ("schema", "key", "options", "algorithm")
    )
    assert (2, 5, {"fresh": True}) == tuple(report[name] for name in ("episodes", "seed", "weights"))
    assert report["versions"]["torch"] == torch.__version__ and {"commit", "dirty"} == set(report["source"])
    assert report["device"] == (torch.cuda.get_device_name() if device == "cuda" else "cpu")
    assert report["settings"]["lr"] == 0.0005 and "local_results_path" not in report["settings"]
    assert VIOLATED not in {row["verdict"] for row in report["rows"]}
    assert {"random", "epsilon-greedy", "greedy"} == {row["policy"] for row in report["rows"]}
    assert all(row["episodes"] == 2 and row["steps"] >= 40 for row in report["rows"])
    assert ["report.json"] == [path.name for path in Path().iterdir()]


@pytest.mark.parametrize("inside, place, file", [
    ("", "checkpoints/280", "state.pt"),
    ("models", "models/280", "agent.th"),
    ("models/120", "models/120", "mixer.th"),
    ("checkpoints/240", "checkpoints/240", "state.pt"),
])  # fmt: skip
def test_a_trained_run_passes_with_its_own_options(folder: Path, inside: str, place: str, file: str) -> None:
    report = report_of(*KEY, "--checkpoint", str(folder / inside), "--episodes", "2")
    weights = report["weights"]
    assert (f"mvd/task/1/{place}", int(Path(place).name)) == (weights["path"], weights["step"])
    assert weights["sha256"][file] == hashlib.sha256((folder / place / file).read_bytes()).hexdigest()
    assert 20 == report["settings"]["env_args"]["episode_limit"] and 8 == report["settings"]["hidden_dim"]
    assert VIOLATED not in {row["verdict"] for row in report["rows"]}


def test_the_networks_looked_at_are_the_saved_ones(whole: Path) -> None:
    request = check_request(
        "async:poac", str(whole / "models" / "120"), None, "cpu", 1, 0, None, []
    )
    host = verification.select.choose("embedded")
    learner, _ = verification.build_learner(host, request, verification.find_weights(host, request))
    saved = torch.load(whole / "models" / "120" / "agent.th", weights_only=True)
    assert all(torch.equal(saved[name], value) for name, value in learner.mac.agent.state_dict().items())


def test_options_given_are_laid_over_those_of_the_run(whole: Path) -> None:
    report = report_of(*KEY, "--checkpoint", str(whole), "--episodes", "1", "episode_limit=7", "bot=KAI1")
    env_args = report["settings"]["env_args"]
    assert (7, "KAI1") == (env_args["episode_limit"], env_args["bot"])
    assert {7} == {row["steps"] for row in report["rows"] if row["check"] == "same rewards"}


def test_damaged_networks_are_named_and_older_ones_taken(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "checkpoints" / "280" / "state.pt").write_bytes(b"damaged")
    (folder / "models" / "280" / "agent.th").unlink()
    report = report_of(*KEY, "--checkpoint", str(folder), "--episodes", "1")
    assert "mvd/task/1/checkpoints/240" == report["weights"]["path"]
    assert 2 == len([record for record in caplog.records if "280" in record.message])


class Paid(VSP):
    """A proxy is paid 1 for every step."""

    def _step(self, actions: np.ndarray) -> None:
        super()._step(actions)
        self.reward += self._moving


def test_a_violation_is_exit_status_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "VSP", Paid)
    code, told, _ = ask(*FRESH, "--out", "report.json")
    violated = [line.split("  ")[0] for line in told.splitlines() if line.endswith(VIOLATED)]
    assert 1 == code and {"same rewards", "same returns"} == set(violated)
    rows = json.loads(Path("report.json").read_text())["rows"]
    assert {"same rewards", "same returns"} == {row["check"] for row in rows if row["verdict"] == VIOLATED}


def test_a_report_that_cannot_be_written_comes_after_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, report: Any) -> None:
        raise OSError(f"{path}: could not be written (no space left)")

    monkeypatch.setattr(verify_report, "write_report", full)
    code, told, error = ask(*FRESH, "--out", "report.json")
    assert 1 == code and "0 VIOLATED." in told
    assert error.endswith("report.json: could not be written (no space left)\n")


def test_a_worst_difference_that_is_not_finite_is_valid_json() -> None:
    report = {"rows": [{"worst": float("inf")}, {"worst": float("nan")}]}
    verify_report.write_report(Path("report.json"), report)
    written = json.loads(Path("report.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert ["inf", "nan"] == [row["worst"] for row in written["rows"]]


@pytest.mark.parametrize("key", catalog.keys())
def test_every_key_can_be_verified(key: str) -> None:
    family, _ = catalog.parse_key(key)
    options = ["episode_limit=12"] if "episode_limit" in [option.name for option in family.options] else []
    if key == "async:tabular-file":
        one = {"transitions": [[[1]]], "rewards": [[0]], "durations": [[2]], "observations": [[0]], "start": 0}
        Path("task.json").write_text(json.dumps({**one, "episode_limit": 5}))
        options = ["file=task.json"]
    if key.startswith("async:gymnasium"):
        options.append("durations=2")  # of one agent alone, the default is one step
    report = report_of("--key", key, "--config", "qatten_a", "--episodes", "2", *options)
    assert VIOLATED not in {row["verdict"] for row in report["rows"]}
    assert any(row["check"] == "executing agents seen" and row["rows"] > 0 for row in report["rows"])


# what is refused


@pytest.mark.parametrize("words, line", [
    ((), "--key is missing"),
    (KEY, "neither --checkpoint nor --config was given"),
    ((*KEY, "--config", "mvd", "--checkpoint", "run"), "both --checkpoint and --config was given"),
    (("--key", "async:poca", "--config", "mvd"), "Did you mean 'poac'"),
    (("--key", "async:poac-9", "--config", "mvd"), "unknown scenario 'async:poac-9'"),
    ((*KEY, "--config", "mvb"), "Did you mean 'mvd'"),
    ((*KEY, "--config", "mvd", "--episodes", "0"), "--episodes='0' is not accepted, expected a whole number of"),
    ((*KEY, "--config", "mvd", "--episodes", "two"), "--episodes='two' is not accepted"),
    ((*KEY, "--config", "mvd", "--seed", "-1"), "--seed='-1' is not accepted"),
    ((*KEY, "--config", "mvd", "--device", "tpu"), "--device='tpu' is not accepted"),
    pytest.param((*KEY, "--config", "mvd", "--device", "cuda"), "no CUDA device is there", marks=NO_GPU),
    ((*KEY, "--config", "mvd", "bott=KAI1"), "Did you mean 'bot'"),
    ((*KEY, "--config", "mvd", "bot"), "'bot' is not an option. Write NAME=VALUE"),
    ((*KEY, "--config", "mvd", "episode_limit=0"), "episode_limit=0 is not accepted"),
    ((*KEY, "--config", "mvd", "--out", "nowhere/report.json"), "--out=nowhere/report.json: cannot be written"),
    ((*KEY, "--config", "mvd", "--out", "."), "it is a folder"),
    ((*KEY, "--checkpoint", "nowhere"), "nowhere: there is no such folder"),
    ((*KEY, "--checkpoint", "."), "no run lies there"),
])  # fmt: skip
def test_bad_input_is_one_line(words: tuple[str, ...], line: str) -> None:
    code, told, error = ask(*words)
    assert (2, "") == (code, told)
    assert line in error and 1 == error.count("\n")
    assert [] == list(Path().iterdir())


def refused(*words: str) -> str:
    """The one line of a verification that was refused."""
    code, told, error = ask(*words)
    assert (2, "") == (code, told) and 1 == error.count("\n"), error
    return error


def test_a_run_of_another_task_is_refused(whole: Path) -> None:
    assert "is of the task async:poac-1, expected async:poac-2" in refused(
        "--key", "async:poac-2", "--checkpoint", str(whole)
    )


def test_a_run_without_saved_networks_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "models")
    shutil.rmtree(folder / "checkpoints")
    assert "neither models nor checkpoints lie there" in refused(*KEY, "--checkpoint", str(folder))


def test_the_best_networks_are_taken_where_they_are_named_or_alone(folder: Path) -> None:
    best = (folder / "models" / "120").rename(folder / "models" / "best")
    (best / "best.json").write_text('{"t_env": 120, "return_mean": 1.5, "n": 2}')
    named = report_of(*KEY, "--checkpoint", str(best), "--episodes", "1")["weights"]
    assert ("mvd/task/1/models/best", 120) == (named["path"], named["step"])
    assert named["sha256"]["agent.th"] == hashlib.sha256((best / "agent.th").read_bytes()).hexdigest()
    newest = report_of(*KEY, "--checkpoint", str(folder), "--episodes", "1")["weights"]
    assert "mvd/task/1/checkpoints/280" == newest["path"]
    shutil.rmtree(folder / "checkpoints")
    for step in (40, 200, 280):
        shutil.rmtree(folder / "models" / str(step))
    assert named == report_of(*KEY, "--checkpoint", str(folder), "--episodes", "1")["weights"]
    (best / "best.json").unlink()
    assert "best.json: damaged" in refused(*KEY, "--checkpoint", str(folder))


def test_damaged_networks_that_were_named_are_refused(folder: Path) -> None:
    (folder / "models" / "280" / "mixer.th").write_bytes(b"damaged")
    assert "mixer.th: cannot be read" in refused(*KEY, "--checkpoint", str(folder / "models" / "280"))


def test_networks_of_other_sizes_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_dim": 9}))
    error = refused(*KEY, "--checkpoint", str(folder / "models"))
    assert "expected [9," in error and "another algorithm, task or size" in error


@pytest.mark.parametrize("change, line", [
    ({"name": "mvd_too"}, "the checkpoint is of name='mvd', its run of 'mvd_too'"),
    ({"mixer": "qmix_a", "learner": "qmix_a_learner"}, "mixer='mvd', its run of 'qmix_a'"),
    ({"learner": "q_learner"}, "learner='q_learner' is not one of ours"),
    ({"lr": "fast"}, "lr='fast' is not accepted"),
])  # fmt: skip
def test_a_checkpoint_of_another_algorithm_is_refused(folder: Path, change: dict[str, Any], line: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    qmix = {"mixing_embed_dim": 32, "hypernet_layers": 2, "hypernet_embed": 64}
    (folder / "config.json").write_text(json.dumps(config | qmix | change))
    assert line in refused(*KEY, "--checkpoint", str(folder / "checkpoints"))


def test_a_checkpoint_of_another_task_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["env_args"]["key"] = "async:poac-2"
    (folder / "config.json").write_text(json.dumps(config))
    error = refused("--key", "async:poac-2", "--checkpoint", str(folder / "checkpoints" / "280"))
    assert "the checkpoint is of task='async:poac-1', its run of 'async:poac-2'" in error


def test_a_controller_that_acts_for_proxies_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["env_args"]["vsp"] = True
    (folder / "config.json").write_text(json.dumps(config))
    assert "expected a controller of the agents alone" in refused(*KEY, "--checkpoint", str(folder))


# make verify-gpu


@pytest.mark.parametrize("device", ["cpu", ON_A_GPU])
def test_short_runs_are_trained_and_verified(device: str, capsys: pytest.CaptureFixture) -> None:
    changes = {
        "t_max": 60, "batch_size": 4, "batch_size_run": 4, "env_args.episode_limit": 20, "test_nepisode": 2,
        "buffer_size": 8,
    }  # fmt: skip
    words = ["--device", device, "--out", "evidence", "--episodes", "2", "--key", "async:poac-1"]
    words += [word for name, value in changes.items() for word in ("--set", f"{name}={value}")]
    done = CliRunner().invoke(verify_gpu.main, words)
    assert 0 == done.exit_code, done.output
    told = done.stdout.splitlines()[-3:]
    for line, algorithm in zip(told, ("mvd", "qmix_a", "qatten_a")):
        report = json.loads(Path(f"evidence/verify-{algorithm}-async-poac-1-{device}.json").read_text())
        assert algorithm == report["algorithm"] and 80 == report["weights"]["step"]
        assert verify_report.digest(report) == line and line.endswith("0 VIOLATED.")


def test_the_usual_runs_are_poac_and_the_tabular_tasks() -> None:
    usual = verify_gpu.keys()
    assert "async:poac-1" == usual[0] and set(usual) <= set(catalog.keys())


@NO_GPU
def test_without_a_gpu_it_says_so_in_one_line() -> None:
    done = CliRunner().invoke(verify_gpu.main, [])
    assert 2 == done.exit_code and "no CUDA device is there" in done.stderr and 1 == done.stderr.count("\n")
    assert "" == done.stdout
