"""The training loop does EPyMARL's steps in EPyMARL's order, and says what it cannot do."""

import logging
import math
from types import SimpleNamespace

import pytest
import torch as th

from epymarl_lite import learners
from epymarl_lite.models import load_models
from epymarl_lite.results import mean_and_error, sentence, summary
from epymarl_lite.run import layout, make_buffer, run, run_sequential
from epymarl_lite.utils.files import WriteError
from epymarl_lite.utils.logging import Logger
from tests.epymarl_lite import fakes

fakes.register()


@pytest.fixture
def trained(tmp_path):
    """Runs a configuration; returns (what run returned, the recorder)."""

    def train(name="run", **changes):
        recorder = fakes.Recorder(tmp_path / name)
        return run(None, fakes.config(**changes), logging.getLogger("test"), recorder), recorder

    return train


def cycles_of(recorder):
    return [(line[1], line[2]) for line in recorder.lines() if line[0] == "test"]


def test_the_same_seed_gives_the_same_run_and_another_seed_another(trained):
    first, second, other = (
        trained(name, seed=seed)[1].lines() for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == second != other


def test_tests_come_at_the_interval_and_once_at_the_end_with_exactly_so_many_episodes(trained):
    results, recorder = trained(test_nepisode=3, test_interval=150, t_max=600)
    steps = [t_env for t_env, _ in cycles_of(recorder)]
    assert all(len(episodes) == 3 for _, episodes in cycles_of(recorder))
    assert all(later - earlier >= 150 for earlier, later in zip(steps[:-2], steps[1:-1]))
    assert steps == sorted(set(steps)) and steps[-1] == results["t_env"] > 600
    seeds = [episode["seed"] for _, episodes in cycles_of(recorder) for episode in episodes]
    assert len(set(seeds)) == len(seeds)


def test_a_test_that_falls_on_the_last_step_is_not_held_twice(trained):
    _, recorder = trained(test_interval=1, t_max=60)
    steps = [t_env for t_env, _ in cycles_of(recorder)]
    assert len(steps) == len(set(steps))


@pytest.mark.parametrize("label", ["default_label", "global_random"])
def test_testing_does_not_change_training(trained, label):
    """Also with a controller that draws from torch's own stream, testing included."""

    def training(lines):
        return [line for line in lines if not line[0].startswith("test")]

    often, seldom = (trained(f"{label}{n}", test_interval=n, label=label)[1].lines() for n in (20, 10_000))
    assert len(often) > len(seldom) and training(often) == training(seldom)


@pytest.mark.parametrize(
    ("per_episode", "n_envs", "expected"),
    [  # the episode numbers that the learner is told; the buffer needs 4 episodes
        (1, 1, [3, 4, 5, 6]),
        (1, 4, [0, 1, 2, 3, 4]),
        (0.5, 4, [0, 2, 4, 6]),
        (3, 2, [2, 2, 2, 3, 3, 3, 4]),
        (0.25, 1, [6, 10, 14]),
    ],
)
def test_updates_per_episode_are_held_whatever_is_played_side_by_side(
    trained, monkeypatch, per_episode, n_envs, expected
):
    kept = []
    monkeypatch.setitem(
        learners.REGISTRY, "fake_learner", lambda *given: kept.append(fakes.Learner(*given)) or kept[-1]
    )
    runner = "parallel" if n_envs > 1 else "episode"
    trained(updates_per_episode=per_episode, runner=runner, batch_size_run=n_envs, t_max=200, batch_size=4)
    calls = [episode for _, episode in kept[0].calls]
    assert len(calls) >= 3 and calls[: len(expected)] == expected


def test_models_are_saved_at_the_interval_and_at_the_end_and_load_again(trained, tmp_path):
    results, recorder = trained(save_model=True, save_model_interval=200)
    steps = sorted(int(folder.name) for folder in (recorder.run_dir / "models").iterdir())
    assert len(steps) >= 3 and steps[-1] == results["t_env"]
    assert all(later - earlier >= 200 for earlier, later in zip(steps[:-2], steps[1:-1]))
    models = str(recorder.run_dir / "models")
    again, second = trained("again", checkpoint_path=models, evaluate=True, seed=1)
    assert again["t_env"] == steps[-1] and [t for t, _ in cycles_of(second)] == [steps[-1]]
    nearest, _ = trained("nearest", checkpoint_path=models, evaluate=True, load_step=steps[0] + 1)
    assert nearest["t_env"] == steps[0]


def test_training_goes_on_from_loaded_models(trained):
    _, recorder = trained(save_model=True, t_max=100)
    results, second = trained("more", checkpoint_path=str(recorder.run_dir / "models"), t_max=200)
    assert min(line[2] for line in second.lines() if line[0] == "loss") > 100 and results["t_env"] > 200


@pytest.mark.parametrize("harm", ["missing", "empty", "foreign", "corrupt", "incomplete"])
def test_models_that_cannot_be_loaded_are_an_error(trained, tmp_path, harm):
    folder = tmp_path / "models"
    if harm != "missing":
        (folder / {"foreign": "photos"}.get(harm, "100")).mkdir(parents=True)
    if harm == "empty":
        (folder / "100").rmdir()
    if harm == "corrupt":
        (folder / "100" / "agent.th").write_bytes(b"not a model")
    text = {
        "missing": "no such folder",
        "corrupt": "models of step 100 cannot be loaded",
        "incomplete": "models of step 100 cannot be loaded",
    }.get(harm, "holds no saved models")
    with pytest.raises(ValueError, match=text):
        trained(checkpoint_path=str(folder), evaluate=True)


def test_models_of_other_sizes_are_an_error(tmp_path):
    (tmp_path / "7").mkdir()
    th.save(th.nn.Linear(2, 2).state_dict(), tmp_path / "7" / "agent.th")
    learner = fakes.Learner(SimpleNamespace(agent=th.nn.Linear(3, 2)), None, None, None)
    with pytest.raises(ValueError, match="step 7 cannot be loaded.*size mismatch"):
        load_models(learner, str(tmp_path), 0)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"batch_size": 32}, r"buffer_size=16 holds fewer episodes .*batch_size=32.*Set buffer_size=32"),
        ({"evaluate": True}, "Name it with checkpoint_path"),
        ({"learner": "fake_leaner"}, "learner='fake_leaner' is not known. Known: .*fake_learner"),
        ({"mac": "mac"}, "mac='mac' is not known"),
        ({"runner": "vektor"}, "runner='vektor' is not known. Known: episode, parallel"),
        ({"buffer_size": 10**9, "t_max": 10**12}, "Set buffer_size=[0-9]+ or less"),
        ({"buffer_size": 10**9, "compact_buffer": False}, "or compact_buffer=True"),
        ({"use_wandb": True}, "wandb_team and wandb_project are needed"),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(trained, changes, text):
    with pytest.raises(ValueError, match=text) as error:
        trained(**changes)
    assert "\n" not in str(error.value)


def test_a_missing_gpu_is_no_reason_to_stop(trained, caplog):
    if th.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with caplog.at_level("INFO"):
        trained(use_cuda=True, t_max=20)
    assert "use_cuda is switched off" in caplog.text


def test_the_plain_buffer_trains_exactly_as_the_compact_one(trained):
    assert trained("a")[1].lines() == trained("b", compact_buffer=False)[1].lines()


def test_nan_in_an_observation_stops_the_run(trained, monkeypatch):
    real = fakes.Line.get_state
    monkeypatch.setattr(fakes.Line, "get_state", lambda self: real(self) * (math.nan if self.t == 4 else 1))
    with pytest.raises(ValueError, match="state of episode 0, its step 4, holds NaN or infinity"):
        trained()


def test_an_error_of_the_learner_ends_the_run(trained, monkeypatch):
    def train(self, batch, t_env, episode_num):
        raise FloatingPointError("loss is nan")

    monkeypatch.setattr(fakes.Learner, "train", train)
    with pytest.raises(FloatingPointError, match="loss is nan"):
        trained()


def test_a_run_that_ends_in_an_error_hands_over_what_was_logged(trained, monkeypatch):
    """TensorBoard and W&B hold back what is not flushed."""
    finished = []

    def train(self, batch, t_env, episode_num):
        raise FloatingPointError("loss is nan")

    monkeypatch.setattr(fakes.Learner, "train", train)
    monkeypatch.setattr(Logger, "finish", lambda self: finished.append(True))
    with pytest.raises(FloatingPointError, match="loss is nan"):
        trained()
    assert [True] == finished


def test_a_disk_that_refuses_models_twice_ends_the_run(trained, monkeypatch):
    def save_models(self, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("epymarl_lite.utils.files._WAIT_S", 0)
    monkeypatch.setattr(fakes.Learner, "save_models", save_models)
    with pytest.raises(WriteError, match="No space left"):
        trained(save_model=True)


def test_run_sequential_is_a_way_in_as_in_epymarl(tmp_path):
    args = fakes.arguments_of(t_max=50, local_results_path=str(tmp_path), save_model=True)
    results = run_sequential(args, Logger(logging.getLogger("test")))
    assert results["n_episodes"] == 3 and list((tmp_path / "runs" / args.unique_token / "models").iterdir())


def test_a_learner_that_cannot_say_its_state_trains_without_checkpoints(trained, monkeypatch, caplog):
    monkeypatch.delattr(fakes.Learner, "resume_state")
    _, recorder = trained()
    assert (
        caplog.text.count("No checkpoints: Learner") == 1 and not (recorder.run_dir / "checkpoints").exists()
    )


def test_the_scheme_is_epymarls():
    args = fakes.arguments_of()
    info = {"n_agents": 2, "n_actions": 3, "obs_shape": 7, "state_shape": 4, "episode_limit": 12}
    scheme, groups, preprocess = layout(args, info)
    buffer = make_buffer(args, scheme, groups, preprocess, 13)
    assert list(buffer.scheme) == [
        "state",
        "obs",
        "actions",
        "avail_actions",
        "terminated",
        "reward",
        "actions_onehot",
        "filled",
    ]
    assert buffer.scheme["actions_onehot"]["vshape"] == (3,) and (args.n_agents, args.n_actions) == (2, 3)


def test_means_come_with_their_standard_error():
    """1, 2, 3, 4: mean 2.5, sample variance 5/3, error sqrt(5/3/4) = 0.6455."""
    assert mean_and_error([1, 2, 3, 4]) == pytest.approx((2.5, 0.6454972))
    assert math.isnan(mean_and_error([1.0])[1])
    won = [{"return": 1.0, "battle_won": 1.0}, {"return": 3.0, "battle_won": 0.0}]
    assert sentence(summary(1000, won)) == (
        "test at step 1,000: win rate 0.500 ± 0.500, return 2.000 ± 1.000 (standard error, 2 episodes)"
    )
    assert "win_rate" not in summary(5, [{"return": 1.0}])
