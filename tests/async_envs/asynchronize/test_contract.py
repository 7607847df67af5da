"""The simulator contract over foreign tasks, and that without durations they are what they were."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import example, given, settings
from hypothesis import strategies as st

import registry
from async_envs.core.conformance import Subject
from async_envs.core.conformance_calls import no_allocation
from async_envs.core.conformance_checks import CHECKS
from async_envs.core.simulator import CONTINUE, FIRST_ACTION, NOOP
from tests.async_envs.asynchronize.tasks import Leavers, Team

LEAVERS = "async:pettingzoo-tests.async_envs.asynchronize.tasks"
TEAM = "async:gymnasium-tests.async_envs.asynchronize.tasks:Team-v0"
NO_METRICS = {"every metric was 0 at the end of every episode"}
ALIKE = "episodes of different seeds were all the same"
STAYS = "no agent was ever inactive"


@pytest.mark.parametrize(
    "key, options, unseen",
    [
        ("async:pettingzoo-example", {}, (ALIKE, STAYS, "no episode was terminated")),
        ("async:pettingzoo-example", {"durations": (1, 1), "jitter": 2}, (STAYS, "no episode was terminated")),
        (LEAVERS, {"scale": "bounds"}, ()),
        (LEAVERS, {"scale": "bounds", "mode": "end", "idle": 0, "jitter": 3, "async_features": False}, ()),
        (TEAM, {}, (STAYS,)),
        (TEAM, {"mode": "start", "idle": 1, "action_durations": (1, 2, 3)}, (STAYS, "no episode was terminated")),
    ],
    ids=str,
)
def test_foreign_tasks_keep_the_contract(key: str, options: dict[str, Any], unseen: tuple[str, ...]) -> None:
    """All of it, but that a step allocates nothing, which is for the tasks to say."""
    subject = Subject(lambda size: registry.make(key, batch_size=size, **options), tuple(range(12)), 1000)
    for check in CHECKS:
        if check is not no_allocation:
            check(subject)
    assert set(subject.unchecked) <= {*unseen, *NO_METRICS}


def test_a_task_that_remembers_is_made_anew() -> None:
    key, shown = f"{LEAVERS}:Unforgetting", {}
    for remake in (False, True):
        sim = registry.make(key, remake=remake)
        rows = []
        for _ in range(2):
            sim.reset([7])
            rows.append(sim.obs.tolist())
        shown[remake] = rows
    assert shown[False][0] != shown[False][1]
    assert shown[True][0] == shown[True][1]


def free_choice(mask: np.ndarray, rng: np.random.Generator) -> int:
    """One of the actions that a mask allows."""
    return int(rng.choice(np.flatnonzero(mask)))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), has_masks=st.booleans())
def test_with_one_step_actions_a_pettingzoo_task_is_itself(seed: int, has_masks: bool) -> None:
    """Observations, masks, rewards and ends, against the task played by hand."""
    sim = registry.make(LEAVERS, durations="all_one", async_features=False, kwargs=f"masks={has_masks}")
    task, rng = Leavers(masks=has_masks), np.random.default_rng(seed)
    sim.reset([seed])
    seen, infos = task.reset(seed=seed)
    assert sim.episode_limit == task.max_cycles and sim.obs_dim == 2 and sim.n_actions == FIRST_ACTION + 4
    while True:
        chosen = np.zeros((1, 3), np.int64)
        for i, name in enumerate("abc"):
            row = sim.avail_actions[0, i]
            if name not in task.agents:
                assert row.tolist() == [1, 0, 0, 0, 0, 0] and not sim.obs[0, i].any()
                continue
            n = task.action_space(name).n
            mask = infos[name].get("action_mask", np.ones(n, np.int8))
            assert row.tolist() == [0, 0, *mask, *[0] * (4 - n)]
            assert sim.obs[0, i].tolist() == [*seen[name], *[0.0] * (2 - len(seen[name]))]
            chosen[0, i] = FIRST_ACTION + free_choice(mask, rng)
        told = {name: int(chosen[0, i]) - FIRST_ACTION for i, name in enumerate("abc") if name in task.agents}
        sim.step(chosen)
        seen, rewards, terminations, truncations, infos = task.step(told)
        assert sim.reward[0] == np.float32(sum(rewards.values()))
        if not task.agents:
            break
        assert not sim.terminated[0] and not sim.truncated[0]
    assert bool(sim.truncated[0]) == any(truncations.values())
    assert bool(sim.terminated[0]) == (not any(truncations.values()))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31 - 1))
@example(seed=2_110_393_319)  # the pole falls in the last step
def test_with_one_step_actions_a_gymnasium_task_is_itself(seed: int) -> None:
    sim = registry.make("async:gymnasium-CartPole-v1", durations="all_one", async_features=False, episode_limit=30)
    task, rng = gymnasium.make("CartPole-v1", max_episode_steps=30), np.random.default_rng(seed)
    sim.reset([seed])
    seen, _ = task.reset(seed=seed)
    is_over = False
    while not is_over:
        assert sim.obs[0, 0].tolist() == sim.state[0].tolist() == seen.tolist()
        action = int(rng.integers(2))
        sim.step(np.array([[FIRST_ACTION + action]]))
        seen, reward, terminated, truncated, _ = task.step(action)
        is_late = truncated and not terminated  # Gymnasium says both where the pole falls in the last step
        assert (sim.reward[0], sim.terminated[0], sim.truncated[0]) == (reward, terminated, is_late)
        is_over = terminated or truncated


def test_a_team_of_one_gymnasium_task() -> None:
    """Dict observations are flattened, rewards summed or averaged, the task's own state is the state."""
    sims = [registry.make(TEAM, durations="all_one", reward=how) for how in ("sum", "mean")]
    for sim in sims:
        sim.reset([5])
    task = Team()
    seen, _ = task.reset(seed=5)
    flat = [spaces.flatten(task.observation_space[k], seen[k]) for k in range(2)]
    np.testing.assert_array_equal(sims[0].obs[0, :, :3], np.stack(flat))
    assert sims[0].state_names == ("state_0", "steps_left_0", "steps_left_1") and sims[0].episode_limit == 9
    for sim in sims:
        sim.step(np.array([[FIRST_ACTION + 1, FIRST_ACTION + 2]]))
    assert [21.0, 10.5] == [float(sim.reward[0]) for sim in sims]
    assert np.float32(1 / 9) == sims[0].state[0, 0]
    sims[0].step(np.array([[FIRST_ACTION + 2, FIRST_ACTION + 2]]))
    assert sims[0].terminated[0] and not sims[0].truncated[0]


def test_an_agent_that_the_limit_stopped_keeps_its_last_status() -> None:
    """Values are bootstrapped from it: an executing agent is still executing, one that had left is out."""
    sim = registry.make(LEAVERS, durations=(3, 1, 1), kwargs="masks=False, max_cycles=4")
    sim.reset([3])
    for _ in range(4):
        rows = sim.avail_actions[0]
        sim.step(np.where(rows[:, NOOP], NOOP, np.where(rows[:, CONTINUE], CONTINUE, FIRST_ACTION))[None])
    assert sim.truncated[0] and not sim.terminated[0]
    assert sim.avail_actions[0, 0].tolist() == [0, 1, 0, 0, 0, 0] and sim.avail_actions[0, 2, NOOP] == 1


def test_its_own_pictures() -> None:
    sim = registry.make("async:pettingzoo-example", kwargs="length=3, render_mode='ansi'")
    sim.reset([0])
    assert sim.render_modes == ("ansi",) and sim.render() == "B..#"
    with pytest.raises(ValueError, match="has no pictures"):
        registry.make("async:pettingzoo-example").render()
