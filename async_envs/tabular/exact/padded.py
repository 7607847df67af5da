"""The padded Dec-POMDP: an executing agent's action is `continue`, and the state says what is left of it.

A state is (s, ongoing): ongoing[i] is None where agent i decides or is inactive, else (a, remaining steps).
The duration of an action is drawn inside the step in which it is chosen, so the choice is made without
knowing it. The rules are those of `async_envs.tabular.task`; the step limit is left out, discounting stands
for it.
"""

from itertools import product
from typing import NamedTuple, Optional, Sequence

import numpy as np

from async_envs.tabular.exact.model import CONTINUE, FIRST_OWN, NOOP, Model, check_size
from async_envs.tabular.task import TabularTask

Ongoing = Optional[tuple[int, int]]  # own action, steps left of it (at least 1)
State = tuple[int, tuple[Ongoing, ...]]


class Draw(NamedTuple):
    """One outcome of an agent's side of a step."""

    probability: float
    activity: int  # of this step
    after: Ongoing  # what is left of the action if nothing ends it early


Choice = tuple[int, list[Draw]]  # the simulator's action, its outcomes


def padded(task: TabularTask) -> Model:
    """The model over all states that are reached from the start under some actions, in order of discovery.

    Args:
        task: checked arrays.

    Raises:
        ValueError: the model is too large to be solved exactly.
    """
    rules = _Rules(task)
    states: list[State] = [(s, (None,) * task.n_agents) for s in np.flatnonzero(task.start).tolist()]
    index = {state: x for x, state in enumerate(states)}
    pair_state: list[int] = []
    actions: list[tuple[int, ...]] = []
    rewards: list[float] = []
    rows: list[dict[int, float]] = []
    for x, state in enumerate(states):  # grows while it is read
        for choices in product(*rules.choices(state)):
            reward, arrivals = rules.step(state[0], [draws for _, draws in choices])
            row: dict[int, float] = {}
            for arrival, probability in arrivals.items():
                target = index.setdefault(arrival, len(states))
                if target == len(states):
                    states.append(arrival)
                row[target] = probability
            pair_state.append(x)
            actions.append(tuple(action for action, _ in choices))
            rewards.append(reward)
            rows.append(row)
        check_size(len(states), len(rows))
    return _model(task, states, pair_state, actions, rewards, rows)


class _Rules:
    """The task's arrays as lists, and one step of it."""

    def __init__(self, task: TabularTask) -> None:
        self._n_agents, self._n_own = task.n_agents, task.n_own_actions
        self._terminal = task.terminal.tolist()
        self._inactive = task.inactive.tolist()
        self._over = (task.interrupts | task.inactive | task.terminal[:, None]).tolist()
        self._available = task.available.tolist()
        self._reward, self._transitions = task.rewards, task.transitions
        self._cells: dict[tuple[int, ...], tuple[float, list[tuple[int, float]]]] = {}
        self._decisions = [
            [(FIRST_OWN + a, [self._draw(float(p), a, d + 1) for d, p in enumerate(law) if p > 0])
             for a, law in enumerate(laws)]
            for laws in task.durations
        ]

    def choices(self, state: State) -> list[list[Choice]]:
        """What each agent may choose; one empty list of all where the state is terminal."""
        s, ongoing = state
        if self._terminal[s]:
            return [[]]
        return [self._choices_of(s, i, ongoing[i]) for i in range(self._n_agents)]

    def _choices_of(self, s: int, i: int, ongoing: Ongoing) -> list[Choice]:
        if self._inactive[s][i]:
            return [(NOOP, [Draw(1.0, 0, None)])]
        if ongoing is not None:
            return [(CONTINUE, [self._draw(1.0, *ongoing)])]
        return [self._decisions[i][a] for a, available in enumerate(self._available[s][i]) if available]

    def _draw(self, probability: float, a: int, remaining: int) -> Draw:
        """One step of an action that has `remaining` steps before it."""
        if remaining == 1:
            return Draw(probability, self._n_own + a, None)
        return Draw(probability, a, (a, remaining - 1))

    def step(self, s: int, laws: Sequence[list[Draw]]) -> tuple[float, dict[State, float]]:
        """Expected reward of a joint action, and the probability of each next state."""
        expected, arrivals = 0.0, dict[State, float]()
        for draws in product(*laws):
            probability = 1.0
            for draw in draws:
                probability *= draw.probability
            reward, successors = self._cell((s, *[draw.activity for draw in draws]))
            expected += probability * reward
            for s_next, chance in successors:
                over = self._over[s_next]
                arrival = (s_next, tuple([None if over[i] else draw.after for i, draw in enumerate(draws)]))
                arrivals[arrival] = arrivals.get(arrival, 0.0) + probability * chance
        return expected, arrivals

    def _cell(self, cell: tuple[int, ...]) -> tuple[float, list[tuple[int, float]]]:
        """Reward and possible successors at a state under joint activities, read once."""
        if cell not in self._cells:
            row = self._transitions[cell].tolist()
            self._cells[cell] = (float(self._reward[cell]), [(s, p) for s, p in enumerate(row) if p > 0])
        return self._cells[cell]


def _model(task: TabularTask, states: list[State], pair_state: list[int], actions: list[tuple[int, ...]],
           rewards: list[float], rows: list[dict[int, float]]) -> Model:
    """The lists as arrays."""
    start = np.zeros(len(states))
    starts = np.flatnonzero(task.start)
    start[: len(starts)] = task.start[starts]
    transitions = np.zeros((len(rows), len(states)))
    for p, row in enumerate(rows):
        transitions[p, list(row)] = list(row.values())
    joint_actions = np.array(actions, np.int64)
    decides = np.zeros((len(states), task.n_agents), bool)
    decides[pair_state] = joint_actions >= FIRST_OWN
    return Model(tuple(states), start, np.array(pair_state, np.int64), joint_actions, transitions,
                 np.array(rewards), decides, task.discount, task.n_agents, FIRST_OWN + task.n_own_actions)
