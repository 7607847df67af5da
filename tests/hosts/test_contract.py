"""What every host must do with our environment, runners, controllers and learners."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from async_envs.core.seeding import TRAIN, episode_seed
from registry import catalog
from tests.hosts.harness import TINY, parameters, train
from tests.plugins.tiny import VALUE_ALGS


def expected_moves(episodes: list[int], interval: int) -> list[bool]:
    """EPyMARL's rule, by hand: an update copies when `interval` episodes have begun since the last copy."""
    moves, last = [], 0
    for episode in episodes:
        moves.append(episode - last >= interval)
        last = episode if moves[-1] else last
    return moves


def check_trained(watched: Any, heard: Any, interval: int) -> None:
    """Loss finite, every parameter moved, targets moved at their interval only."""
    assert len(watched.episodes) >= 3, "hardly an update was made"
    losses = [value for _, value in heard.stats["loss"]]
    assert losses and all(math.isfinite(loss) for loss in losses)
    after = dict(parameters(watched.learner))
    unmoved = [name for name, before in watched.before.items() if torch.equal(before, after[name])]
    assert unmoved == []
    assert expected_moves(watched.episodes, interval) == watched.target_moved
    assert any(watched.target_moved) and not all(watched.target_moved)
    assert watched.target_moved == watched.target_is_live  # a copy, and only then


@pytest.mark.parametrize("algorithm", VALUE_ALGS)
def test_every_algorithm_of_ours_trains_on_every_host(host, algorithm, tmp_path, monkeypatch):
    watched, heard = train(host, algorithm, tmp_path, monkeypatch)
    check_trained(watched, heard, TINY["target_update_interval_or_tau"])


def test_our_controller_and_learner_train_with_the_hosts_episode_runner(host, tmp_path, monkeypatch):
    watched, heard = train(host, "mvd", tmp_path, monkeypatch, runner="episode", batch_size_run=1)
    check_trained(watched, heard, TINY["target_update_interval_or_tau"])


@pytest.mark.slow
def test_our_parts_train_with_the_hosts_parallel_runner(host, tmp_path, monkeypatch, start_method):
    watched, heard = train(host, "mvd", tmp_path, monkeypatch, runner="parallel")
    check_trained(watched, heard, TINY["target_update_interval_or_tau"])


@pytest.mark.parametrize("runner, at_once", [("vector", 2), ("episode", 1)])
def test_a_truncated_episode_is_stored_whole_and_not_as_an_end(host, runner, at_once, tmp_path, monkeypatch):
    """Five steps are too few for a battle: five rewards, six observations, nothing terminated."""
    watched, _ = train(
        host, "qmix", tmp_path, monkeypatch,
        runner=runner, batch_size_run=at_once, t_max=30, env_args={"episode_limit": 5},
    )  # fmt: skip
    batch = watched.batches[-1]
    assert batch["filled"].sum(1).flatten().tolist() == [6, 6]
    assert batch["terminated"].sum().item() == 0


def test_exactly_test_nepisode_episodes_are_played_and_the_last_step_is_tested(host, tmp_path, monkeypatch):
    """3 episodes at once and 7 to test: hosts round to 6, we do not. The run ends between two tests."""
    _, heard = train(
        host, "qmix", tmp_path, monkeypatch, batch_size_run=3, test_nepisode=7, test_interval=130, t_max=200
    )
    assert [7] * len(heard.tests) == [len(episodes) for _, episodes in heard.tests]
    steps = [t_env for t_env, _ in heard.tests]
    assert [60, 240] == steps[:1] + steps[-1:]  # rollouts of 60 steps: first tested at 60, ended at 240
    assert len(steps) == len(set(steps))
    seeds = [episode["seed"] for _, episodes in heard.tests for episode in episodes]
    assert len(seeds) == len(set(seeds))


def test_tests_do_not_change_what_is_trained(host, tmp_path, monkeypatch):
    often, _ = train(host, "qmix", tmp_path, monkeypatch, test_interval=40, test_nepisode=4)
    seldom, _ = train(host, "qmix", tmp_path, monkeypatch, test_interval=100_000)
    assert often.episodes == seldom.episodes
    for a, b in zip(often.batches, seldom.batches, strict=True):
        assert torch.equal(a["obs"], b["obs"]) and torch.equal(a["actions"], b["actions"])


def play(env: Any) -> tuple[list[Any], list[float], bool]:
    """An episode in which every agent takes the (step + agent)-th of its available actions."""
    seen, rewards, ended, t = [], [], False, 0
    env.reset()
    while not ended:
        avail = np.asarray(env.get_avail_actions())
        seen.append((np.asarray(env.get_obs()), np.asarray(env.get_state()), avail))
        result = env.step(choices(avail, t))
        reward, ended = (result[0], result[1]) if len(result) == 3 else (result[1], result[2] or result[3])
        rewards.append(float(reward))
        t += 1
    return seen, rewards, result[-1].get("episode_limit", False)


def choices(avail: np.ndarray, t: int) -> list[int]:
    rows = [np.flatnonzero(row) for row in avail]
    return [int(row[(t + i) % len(row)]) for i, row in enumerate(rows)]


@pytest.mark.parametrize("seed", [0, 7])
def test_same_seed_and_actions_give_the_simulators_episode_on_every_host(host, seed):
    kwargs = {"key": "async:poac-2", "seed": seed, "episode_limit": 60, "bot": "KAI1", "guided": None}
    if host.name != "pymarlzooplus":
        kwargs |= {"common_reward": True, "reward_scalarisation": "sum"}
    env = host.parts().envs["async"](**kwargs)
    seen, rewards, was_cut = play(env)

    simulator = catalog.make("async:poac-2", episode_limit=60, bot="KAI1")
    simulator.reset([episode_seed(seed, TRAIN, 0)])
    for t, (obs, state, avail) in enumerate(seen):
        np.testing.assert_array_equal(simulator.obs[0], obs)
        np.testing.assert_array_equal(simulator.state[0], state)
        np.testing.assert_array_equal(simulator.avail_actions[0], avail)
        simulator.step(np.array([choices(avail, t)]))
        assert float(simulator.reward[0]) == rewards[t]
    assert simulator.terminated[0] or simulator.truncated[0]
    assert bool(simulator.truncated[0]) == bool(was_cut)


def test_environment_shows_proxies_on_every_host(host, tmp_path, monkeypatch):
    """vsp=True doubles the agents, and a learner that knows nothing of it trains."""
    watched, heard = train(host, "vdn", tmp_path, monkeypatch, env_args={"vsp": True})
    assert watched.batches[-1]["obs"].shape[2] == 6
    check_trained(watched, heard, TINY["target_update_interval_or_tau"])


def test_decisions_are_counted_on_every_host(host, tmp_path, monkeypatch):
    """By the vector runner for the record, and in the statistics of whatever runner plays."""
    _, heard = train(host, "qmix", tmp_path / "a", monkeypatch, test_interval=80)
    assert len(heard.decisions) > 1 and heard.decisions == sorted(set(heard.decisions))
    assert all(episode["decisions"] > 0 for _, episodes in heard.tests for episode in episodes)
    assert {"decisions_mean", "test_decisions_mean"} <= set(heard.stats)
    _, heard = train(host, "qmix", tmp_path / "b", monkeypatch, runner="episode", batch_size_run=1, test_interval=80)
    assert all(0 < value <= 60 for _, value in heard.stats["test_decisions_mean"])


def test_a_best_model_is_kept_or_refused_in_one_line(host, tmp_path, monkeypatch):
    if host.is_ours:
        train(host, "qmix", tmp_path, monkeypatch, save_best_model=True)
        assert (tmp_path / "models" / "best" / "best.json").is_file()
        return
    with pytest.raises(ValueError, match=f"save_best_model=True: the host {host.name} keeps no best model"):
        train(host, "qmix", tmp_path, monkeypatch, save_best_model=True)
