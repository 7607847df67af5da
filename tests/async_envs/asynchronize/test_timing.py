"""How long actions take, and what the task is told meanwhile: traces worked out by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import registry
from async_envs.core.simulator import CONTINUE, FIRST_ACTION

TEAM = "async:gymnasium-tests.async_envs.asynchronize.tasks:Team-v0"
LEAVERS = "async:pettingzoo-tests.async_envs.asynchronize.tasks"


def told(sim: Any) -> list[Any]:
    """What the task of the first episode has been told."""
    return list(sim._worlds[0].env.unwrapped.told)


def play(sim: Any, decisions: list[list[int]]) -> list[list[int]]:
    """Each agent's decisions in order, taken when it is free; gives who was executing at each step."""
    queues = [list(each) for each in decisions]
    executing = []
    while any(queues):
        rows = sim.avail_actions[0]
        executing.append(rows[:, CONTINUE].tolist())
        sim.step(np.array([[CONTINUE if row[CONTINUE] else FIRST_ACTION + queue.pop(0)
                            for row, queue in zip(rows, queues)]]))  # fmt: skip
    return executing


@pytest.mark.parametrize(
    "options, expected",
    [
        # agent 0 decides 1, 0, 0, 1, 2, 0; agent 1 (two steps each) decides 2, 1, 0
        ({}, [[1, 2], [0, 2], [0, 1], [1, 1], [2, 0], [0, 0]]),
        ({"mode": "end", "idle": 0}, [[1, 0], [0, 2], [0, 0], [1, 1], [2, 0], [0, 0]]),
        ({"mode": "start", "idle": 1}, [[1, 2], [0, 1], [0, 1], [1, 1], [2, 0], [0, 1]]),
    ],
    ids=str,
)
def test_what_the_task_is_told(options: dict[str, Any], expected: list[list[int]]) -> None:
    sim = registry.make(TEAM, **options)  # index_mod3: one step, two steps
    sim.reset([0])
    assert play(sim, [[1, 0, 0, 1, 2, 0], [2, 1, 0]]) == [[0, 0], [0, 1]] * 3
    assert told(sim) == expected


def test_an_action_may_take_its_own_time() -> None:
    """Agent 1 takes twice as long as agent 0 for everything; action 2 takes three times as long as the others."""
    sim = registry.make(TEAM, action_durations=(1, 1, 3))
    sim.reset([0])
    executing = play(sim, [[2, 0, 1], [0, 1, 0]])
    assert executing == [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]
    assert told(sim) == [[2, 0], [2, 0], [2, 1], [0, 1], [1, 0]]


def test_steps_left_are_shown_in_parts_of_the_longest() -> None:
    sim = registry.make(TEAM, durations=(2, 4))
    sim.reset([0])
    shown = []
    for _ in range(4):
        rows = sim.avail_actions[0]
        sim.step(np.where(rows[:, CONTINUE], CONTINUE, FIRST_ACTION)[None])
        shown.append((sim.obs[0, :, -1].tolist(), sim.state[0, 1:].tolist()))
    expected = [[0.25, 0.75], [0.0, 0.5], [0.25, 0.25], [0.0, 0.0]]
    assert shown == [(row, row) for row in expected]


def test_an_action_that_is_no_longer_possible_ends() -> None:
    """Agent a takes three steps; its last action is forbidden in odd steps, so after one it is free again."""
    sim = registry.make(LEAVERS, durations=(3, 1, 1))
    sim.reset([0])
    sim.step(np.array([[FIRST_ACTION + 2, FIRST_ACTION, FIRST_ACTION]]))
    assert sim.avail_actions[0, 0].tolist() == [0, 0, 1, 1, 0, 0]
    sim.step(np.array([[FIRST_ACTION + 1, *(FIRST_ACTION * (1 - sim.avail_actions[0, 1:, 0]))]]))
    assert sim.avail_actions[0, 0].tolist() == [0, 1, 0, 0, 0, 0]


def test_at_the_end_of_an_action_that_is_not_possible_the_task_is_told_to_idle() -> None:
    """mode=end, two steps each: decided in step 0 (even), due in step 1, where a's last action is forbidden."""
    sim = registry.make(LEAVERS, durations=(2, 1, 1), mode="end", idle=1, kwargs="max_cycles=4")
    sim.reset([0])
    sim.step(np.array([[FIRST_ACTION + 2, FIRST_ACTION, FIRST_ACTION]]))
    assert sim.avail_actions[0, 0, CONTINUE] == 1
    sim.step(np.array([[CONTINUE, *(FIRST_ACTION * (1 - sim.avail_actions[0, 1:, 0]))]]))
    assert [each["a"] for each in told(sim)] == [1, 1]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), jitter=st.integers(1, 4))
def test_jitter_lengthens_each_action_by_a_draw_of_the_episodes_own(seed: int, jitter: int) -> None:
    """Lengths lie in d … d + jitter, and are the same alone, in a batch and again."""
    lengths = []
    for size, place in ((1, 0), (3, 2), (1, 0)):
        sim = registry.make("async:pettingzoo-example", size, durations=(2, 1), jitter=jitter, kwargs="max_cycles=60")
        sim.reset([(seed + (k - place)) % 2**64 for k in range(size)])
        run, found = 0, []
        while not sim.truncated[place]:
            if not sim.avail_actions[place, 0, CONTINUE]:
                found.append(run)
                run = 0
            run += 1
            sim.step(np.where(sim.avail_actions[:, :, CONTINUE] == 1, CONTINUE, FIRST_ACTION))
        lengths.append(found[1:])
    assert lengths[0] == lengths[1] == lengths[2]
    assert 2 <= min(lengths[0]) and max(lengths[0]) <= 2 + jitter and len(set(lengths[0])) > 1


def test_when_the_task_ends_nobody_owes_anything() -> None:
    sim = registry.make(TEAM, durations=(1, 5))
    sim.reset([0])
    sim.step(np.array([[FIRST_ACTION, FIRST_ACTION + 2]]))
    sim.step(np.array([[FIRST_ACTION + 2, CONTINUE]]))
    assert sim.terminated[0] and not sim.avail_actions[0, :, CONTINUE].any()
    assert sim.state[0, 1:].tolist() == sim.obs[0, :, -1].tolist() == [0.0, 0.0]
