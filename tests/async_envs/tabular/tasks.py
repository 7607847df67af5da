"""Tasks for the tests, and how a user would write them down."""

from dataclasses import fields

import numpy as np

from async_envs.tabular.task import TabularTask, make_task


def errands():
    """Two agents, three states (at work, broken, over); everything that a task can have occurs in it.

    Agent 1 is inactive while things are broken, which interrupts agent 0; both may finish the work by
    `finish` (2 or 3 steps), which succeeds with probability 0.4 in its last step.
    """
    work, broken, over = 0, 1, 2
    wait, finish, n_actions = 0, 1, 2
    transitions = np.zeros((3, 4, 4, 3))
    transitions[work] = [0.8, 0.2, 0.0]
    transitions[work, n_actions + finish, :] = [0.6, 0.0, 0.4]
    transitions[work, :, n_actions + finish] = [0.6, 0.0, 0.4]
    transitions[broken] = [0.5, 0.5, 0.0]
    transitions[over] = [0.0, 0.0, 1.0]
    rewards = np.zeros((3, 4, 4))
    rewards[work] = 1.0
    rewards[work, n_actions + finish, n_actions + finish] = 5.0
    rewards[broken, n_actions + wait] = -0.5
    inactive = np.array([[False, False], [False, True], [True, True]])
    return make_task(
        "errands",
        transitions=transitions,
        rewards=rewards,
        durations=[[[1, 0, 0], [0, 0.5, 0.5]], [[1, 0, 0], [0, 0.25, 0.75]]],
        observations=[[[1, 0], [0.9, 0.1]], [[0, 1], [0.5, 0.5]], [[0, 1], [1, 0]]],
        start=[0.75, 0.25, 0],
        episode_limit=9,
        terminal=[False, False, True],
        available=[[[1, 1], [1, 1]], [[1, 0], [1, 1]], [[1, 1], [1, 1]]],
        inactive=inactive,
        interrupts=[[0, 0], [1, 0], [0, 0]],
        discount=0.9,
        action_names=["wait", "finish"],
    )


def arrays(task: TabularTask) -> dict:
    """The fields of a task, as `make_task` takes them."""
    return {field.name: getattr(task, field.name) for field in fields(task)}


def written(task: TabularTask) -> dict:
    """The same as JSON can hold it."""
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in arrays(task).items()
    }


def assert_same(left: TabularTask, right: TabularTask) -> None:
    """Equal to the bit, dtypes too."""
    for name, value in arrays(left).items():
        other = getattr(right, name)
        if isinstance(value, np.ndarray):
            assert value.dtype == other.dtype, name
            np.testing.assert_array_equal(value, other, err_msg=name)
        else:
            assert (type(value), value) == (type(other), other), name
