"""The EPyMARL environment over a simulator."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from async_envs.core.seeding import episode_seed
from plugins.envs import AsyncEnv
from tests.plugins.acting import make_toy

KEY = "async:toy-3"


def build(**changes: Any) -> AsyncEnv:
    """The toy with seed 5."""
    return AsyncEnv(make_toy, **{"key": KEY, "seed": 5, **changes})


def first_available(env: AsyncEnv) -> list[int]:
    """The lowest available action of each agent."""
    return [int(np.argmax(row)) for row in env.get_avail_actions()]


def play(env: AsyncEnv) -> list[tuple[float, bool, bool, dict[str, Any]]]:
    """An episode of first available actions, without the observations."""
    env.reset()
    steps = []
    while not steps or not (steps[-1][1] or steps[-1][2]):
        steps.append(env.step(first_available(env))[1:])
    return steps


def test_sizes_carry_epymarls_names() -> None:
    assert build().get_env_info() == {
        "state_shape": 19, "obs_shape": 6, "n_actions": 5, "n_agents": 3, "episode_limit": 20,
    }  # fmt: skip


def test_an_episode_equals_the_simulators() -> None:
    env, simulator = build(), make_toy(KEY)
    env.reset()
    simulator.reset([episode_seed(5, "train", 0)])
    over = False
    while not over:
        np.testing.assert_array_equal(env.get_obs(), simulator.obs[0])
        np.testing.assert_array_equal(env.get_state(), simulator.state[0])
        np.testing.assert_array_equal(env.get_avail_actions(), simulator.avail_actions[0])
        actions = [max(np.flatnonzero(row)) for row in simulator.avail_actions[0]]
        obs, reward, terminated, truncated, _ = env.step(torch.tensor(actions))
        simulator.step(np.array([actions]))
        assert (reward, terminated, truncated) == (
            simulator.reward[0], simulator.terminated[0], simulator.truncated[0],
        )  # fmt: skip
        np.testing.assert_array_equal(obs, simulator.obs[0])
        over = terminated or truncated


def test_info_holds_scalars_at_the_end_only_and_marks_the_step_limit() -> None:
    """Waiting for ever wins nothing: the step limit ends the episode, after 20 decisions of each of three agents."""
    steps = play(build())
    assert [info for *_, info in steps[:-1]] == [{}] * 19
    info = {"decisions": 60.0, "battle_won": 0.0, "gold": 0.0, "n_dead": 0.0, "episode_limit": True}
    assert steps[-1] == (0.0, False, True, info)


def test_a_real_end_carries_no_episode_limit() -> None:
    env = build(goal=0.5, deadly=False)
    env.reset()
    for _ in range(2):
        _, _, terminated, truncated, info = env.step([4 if row[4] else 1 for row in env.get_avail_actions()])
    assert (terminated, truncated) == (True, False)
    assert info["battle_won"] == 1.0 and "episode_limit" not in info


def test_arrays_handed_out_are_copies() -> None:
    env = build()
    obs, _ = env.reset()
    kept = [row.copy() for row in obs]
    env.step(first_available(env))
    np.testing.assert_array_equal(obs, kept)


def test_episodes_follow_from_seed_stream_and_number() -> None:
    env = build()
    seeds = []
    env.simulator.reset = lambda given: seeds.append(given[0])  # type: ignore[method-assign, assignment]
    env.reset()
    env.reset()
    env.stream = "test"
    env.reset()
    env.stream = "train"
    env.reset(seed=11)
    env.reset()
    assert seeds == [
        episode_seed(5, "train", 0), episode_seed(5, "train", 1), episode_seed(5, "test", 0), 11,
        episode_seed(5, "train", 2),
    ]  # fmt: skip


def test_null_options_are_left_to_the_family() -> None:
    assert build(episode_limit=None, goal=None).episode_limit == 20
    assert build(episode_limit=9).episode_limit == 9


@pytest.mark.parametrize(
    "changes, line",
    [
        ({"common_reward": False}, f"{KEY}: common_reward=False is not supported"),
        ({"reward_scalarisation": "max"}, f"{KEY}: reward_scalarisation='max' is not accepted. Use 'sum'"),
        ({"key": None}, "env_args: no key was given"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError) as error:
        build(**changes)
    assert str(error.value).startswith(line) and "\n" not in str(error.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_reward_that_is_not_finite_is_refused(value: float) -> None:
    env = build()
    env.reset(seed=3)
    step = env.simulator._step

    def broken(actions: np.ndarray) -> None:
        step(actions)
        env.simulator.reward[0] = value

    env.simulator._step = broken  # type: ignore[method-assign]
    line = f"^{KEY}: episode with seed 3, step 1: the reward is {value}"
    with pytest.raises(FloatingPointError, match=line):
        env.step(first_available(env))


def test_an_unavailable_action_is_refused_by_the_simulator() -> None:
    env = build()
    env.reset()
    with pytest.raises(ValueError, match="action 0 'noop' is not available"):
        env.step([0, 0, 0])


def test_pictures_pass_through_and_missing_replays_are_refused() -> None:
    env = build(vsp=True)
    env.reset()
    assert env.render().startswith("gold 0.00")
    with pytest.raises(ValueError, match="this family saves no replays"):
        env.save_replay()
    env.close()


def test_vsp_doubles_the_agents_and_keeps_the_rewards() -> None:
    plain, proxied = build(), build(vsp=True)
    assert proxied.n_agents == 6
    assert play(plain) == play(proxied)


@pytest.mark.upstream
@pytest.mark.skipif(not os.environ.get("EPYMARL_HOME"), reason="EPYMARL_HOME names no EPyMARL checkout")
def test_epymarls_own_runners_play_it_and_bootstrap_the_step_limit() -> None:
    """Six steps of the first available action, then the limit: 7 stored, none terminated."""
    script = [sys.executable, "-W", "ignore", "-m", "tests.plugins.play_upstream", os.environ["EPYMARL_HOME"]]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(script, cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    played = json.loads(done.stdout)
    assert played["episode"]["filled"] == [7] and played["parallel"]["filled"] == [7, 7, 7]
    for runner, workers in (("episode", 1), ("parallel", 3)):
        assert played[runner]["terminated"] == 0
        assert {"battle_won_mean", "episode_limit_mean", "return_mean"} <= set(played[runner]["logged"])
        luck = []
        for worker in range(workers):
            env = build(seed=7 + worker, episode_limit=6)
            env.reset()
            luck.append([float(row[4]) for row in env.get_obs()])
        assert played[runner]["luck"] == luck
