"""What is wrong is said in one line before anything is played."""

from typing import Any

import pytest

import registry

TASKS = "tests.async_envs.asynchronize.tasks"
EXAMPLE = "async:pettingzoo-example"
TEAM = f"async:gymnasium-{TASKS}:Team-v0"


@pytest.mark.parametrize(
    "key, options, said",
    [
        ("async:pettingzoo-nowhere.task_v1", {}, "the module nowhere.task_v1 cannot be imported"),
        (f"async:pettingzoo-{TASKS}:Nobody", {}, f"the module {TASKS} has no Nobody"),
        (f"async:pettingzoo-{TASKS}:not_parallel", {}, "makes a object, expected a pettingzoo.ParallelEnv"),
        (f"async:pettingzoo-{TASKS}:Continuous", {}, "has the action space Box"),
        (f"async:pettingzoo-{TASKS}:Endless", {}, "Add episode_limit=N"),
        ("async:gymnasium-Nowhere-v3", {}, "Gymnasium cannot make Nowhere-v3"),
        ("async:gymnasium-Pendulum-v1", {}, "has the action space Box"),
        (EXAMPLE, {"kwargs": "lenght=3"}, "cannot be made with kwargs='lenght=3'"),
        (EXAMPLE, {"kwargs": "length=open('x')"}, "expected names with values as in a call of Python"),
        (EXAMPLE, {"kwargs": "3"}, "expected names with values as in a call of Python"),
        (EXAMPLE, {"kwargs": "length=3); print(1"}, "expected names with values as in a call of Python"),
        (EXAMPLE, {"durations": (1, 2, 3)}, "durations has 3 numbers for 2 agents"),
        (EXAMPLE, {"durations": "fast"}, "expected one of index_mod3, all_one, or whole numbers from 1 to 100"),
        (EXAMPLE, {"durations": (0, 1)}, "expected one of index_mod3, all_one, or whole numbers from 1 to 100"),
        (TEAM, {"action_durations": (1, 2)}, "action_durations has 2 numbers for 3 actions"),
        (EXAMPLE, {"mode": "end"}, "mode='end' needs the task's action that does nothing. Add idle=K"),
        (f"async:pettingzoo-{TASKS}", {"idle": 2, "mode": "end"}, "idle=2 is no action of b, which has 2. Use 0 to 1"),
        (EXAMPLE, {"mode": "hold"}, "expected one of repeat, end, start"),
    ],
    ids=str,
)
def test_one_line_says_what_is_wrong(key: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        registry.make(key, **options)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith(key)


def test_an_action_that_is_not_available_names_what_the_agent_does() -> None:
    sim = registry.make(EXAMPLE)
    sim.reset([0])
    sim.step([[2, 2]])
    with pytest.raises(ValueError, match=r"agent 1: action 2 .* while executing 'action_0' \(1 step left\)"):
        sim.step([[2, 2]])
