"""Tasks as they are met with: masks in unusual places, agents that end one by one, and things that go wrong."""

from typing import Any

import numpy as np
import pytest

import registry
from async_envs.core.simulator import FIRST_ACTION, NOOP

TASKS = "tests.async_envs.asynchronize.tasks"
ODD = f"async:pettingzoo-{TASKS}:Odd"


def odd(how: str, **options: Any) -> Any:
    """The task that is odd in one way, with one-step actions."""
    return registry.make(ODD, kwargs={"how": how}, durations="all_one", **options)


@pytest.mark.parametrize("how", ["", "avail", "mask and more", "has last"])
def test_masks_are_found_wherever_they_are(how: str) -> None:
    """Of agents with three and two actions; a mask of three is cut for the second."""
    sim = odd(how)
    sim.reset([0])
    assert sim.avail_actions[0].tolist() == [[0, 0, 1, 0, 0]] * 2
    assert sim.obs_dim == (4 if how == "mask and more" else 2)
    while not sim.truncated[0]:
        sim.step(np.array([[FIRST_ACTION, FIRST_ACTION]]))
        assert sim.reward[0] == 2.0
    assert sim._worlds[0].env.told == [{"a": 0, "b": 0}] * 5


def test_a_flat_list_of_actions_is_that_of_the_one_agent_there_is() -> None:
    """And features of a Dict are moved by their bounds."""
    sim = registry.make(f"async:gymnasium-{TASKS}:OddAgent-v0", scale="bounds", async_features=False)
    sim.reset([0])
    assert sim.avail_actions[0].tolist() == [[0, 0, 0, 1, 1]]
    assert sim.obs[0, 0].tolist() == [0.5, -1.0] and sim.episode_limit == 4


def test_agents_of_a_team_end_one_by_one() -> None:
    """Who is terminated is out; when the last one is stopped by the limit, the episode is truncated."""
    sim = registry.make(f"async:gymnasium-{TASKS}:OddTeam-v0", durations="all_one")
    sim.reset([0])
    is_out, total = [], 0.0
    while not (sim.terminated[0] or sim.truncated[0]):
        rows = sim.avail_actions[0]
        is_out.append(rows[:, NOOP].tolist())
        sim.step(np.where(rows[:, NOOP] == 1, NOOP, FIRST_ACTION)[None])
        total += float(sim.reward[0])
    assert is_out == [[0, 0], [0, 0], [1, 0], [1, 0]] and total == 8.0
    assert sim.truncated[0] and not sim.terminated[0]
    assert sim.avail_actions[0, :, NOOP].tolist() == [1, 0]


@pytest.mark.parametrize(
    "how, said",
    [
        ("wide", "failed in step (episode 0, step 1): a shows 3 features, its space has 1"),
        ("unseen", "failed in step (episode 0, step 1): b takes part and has no observation"),
        ("state", "failed in step (episode 0, step 1): its state has 1 features, had 2 at first"),
        ("state fails", "failed in step (episode 0, step 1): the map is lost"),
        ("reward", "failed in step (episode 0, step 0): it shows a number that is not finite"),
        ("fails in step", "failed in step (episode 0, step 0): 'the door'"),
        ("exits", "failed in step (episode 0, step 0): 0"),
    ],
)
def test_what_a_task_gets_wrong_is_one_line(how: str, said: str) -> None:
    sim = odd(how)
    sim.reset([0])
    with pytest.raises(RuntimeError) as caught:
        sim.step(np.array([[FIRST_ACTION, FIRST_ACTION]]))
    assert str(caught.value).startswith(f"{ODD}: the task {said}") and "\n" not in str(caught.value)


def test_a_mask_of_another_length_is_one_line() -> None:
    sim = odd("short mask")
    with pytest.raises(RuntimeError, match=r"failed in reset .*: the mask of a has the shape \(1,\), expected \(3,\)"):
        sim.reset([0])


@pytest.mark.parametrize(
    "how, said", [("fails in reset", "the task cannot be played with kwargs"), ("no agents", "without possible_agents")]
)
def test_a_task_that_cannot_be_played_is_refused_before_any_episode(how: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        odd(how)


def test_a_limit_above_the_tasks_own_is_refused() -> None:
    with pytest.raises(ValueError, match="episode_limit=6 is above the task's own 5. Use at most 5"):
        odd("", episode_limit=6)
    assert odd("", episode_limit=3).episode_limit == 3


@pytest.mark.parametrize("remake", [True, False])
def test_every_copy_is_let_go_of(remake: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.async_envs.asynchronize import tasks

    made: list[Any] = []
    closed: list[Any] = []
    monkeypatch.setattr(tasks.Odd, "close", lambda self: closed.append(self))
    first = tasks.Odd.__init__
    monkeypatch.setattr(tasks.Odd, "__init__", lambda self, how="": (made.append(self), first(self, how))[1])
    sim = registry.make(ODD, 3, remake=remake)
    for _ in range(3):
        sim.reset([1, 2, 3])
    sim.close()
    assert len(made) == len(closed) == (10 if remake else 4)
