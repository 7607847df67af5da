"""A finite cooperative asynchronous Dec-POMDP, given as arrays.

Letters: S states, N agents, A own actions, M activities, D longest duration, O observations.

What an agent does in a step is its *activity*: a while action a is under way, A + a in a's last step; an
inactive agent counts as activity 0. One step, in this order:

1. every deciding agent i chooses a; its duration is drawn from `durations[i, a]`;
2. the team gets `rewards[s, m_1, …, m_N]`, and s' is drawn from `transitions[s, m_1, …, m_N]`;
3. an action is over after its last step, and early where s' is one of the agent's `interrupts` or the agent
   is inactive in s';
4. the episode terminates if s' is terminal, else it is truncated if the step was its last;
5. every agent observes: o_i is drawn from `observations[s', i]`.
"""

from dataclasses import dataclass
from typing import Any, Sequence

import numpy as np

from async_envs.tabular import validate
from async_envs.tabular.validate import ROW_SUM_TOLERANCE

__all__ = ["ROW_SUM_TOLERANCE", "TabularTask", "make_task"]

LONGEST_EPISODE = 1_000_000  # steps
LARGEST_REWARD = 1e30  # in size; the simulator's rewards are float32
RESERVED = ("noop", "continue")  # the simulator's own actions

WRONG_AXES = (
    "{name}: {field} has shape {shape}, expected {n_axes} axes: one of states, {agents} of activities with "
    "{sizes} entries each{last}. Give one entry for each."
)
UNEQUAL_STATES = (
    "{name}: transitions lead from {first} states to {last} and rewards has {rewards}, "
    "expected the same number. Give all of them for the same states."
)
TOO_GREAT = "{name}: {place} is {value}, at most {most:g} in size is accepted. Scale the rewards down."
WRONG_DURATIONS = (
    "{name}: durations has shape {shape}, expected [agents, actions] whole numbers or "
    "[agents, actions, steps] probabilities. Give one entry for each."
)
WRONG_OBSERVATIONS = (
    "{name}: observations has shape {shape}, expected {agents} [states, agents] whole numbers, or "
    "probabilities of every observation in a third axis. Give one entry for each."
)
TERMINAL_START = "{name}: start gives state {state} a chance, which is terminal. Start in another state."
NO_ACTION = (
    "{name}: agent {agent} has no available action in state {state}, at least one is expected. "
    "Make one available, or the agent inactive or the state terminal."
)
BAD_DISCOUNT = "{name}: discount is {value!r}, a number from 0 to below 1 is expected. Use e.g. 0.99."
BAD_NAMES = (
    "{name}: action_names is {given}, {n_actions} different printable texts other than noop and continue "
    "are expected. Give one name for each action, or leave action_names out."
)


@dataclass(frozen=True, eq=False)
class TabularTask:
    """The arrays. `make_task` builds one from what users write, and checks it; this class checks nothing.

    Attributes:
        transitions: [S, M, …, M, S] float64, N times M = 2 A; probabilities of the next state.
        rewards: [S, M, …, M] float64, the team's reward of the step.
        durations: [N, A, D] float64; entry d is the probability that the action takes d + 1 steps.
        observations: [S, N, O] float64, probabilities.
        start: [S] float64, probabilities of the first state; none is terminal.
        terminal: [S] bool, states that end the episode.
        available: [S, N, A] bool, what a deciding agent may choose.
        inactive: [S, N] bool, agents that are out of play in a state; in a terminal one, all are.
        interrupts: [S, N] bool, states whose entry ends the agent's action.
        episode_limit: steps after which an episode is truncated.
        discount: of one step, in [0, 1); for the exact solver and the metric `discounted_return`.
        state_is_shown: whether the simulator's `state` shows every agent's ongoing action and what is left
            of it. False leaves the underlying state and the clock alone.
        action_names: [A] names of the own actions.
    """

    transitions: np.ndarray
    rewards: np.ndarray
    durations: np.ndarray
    observations: np.ndarray
    start: np.ndarray
    terminal: np.ndarray
    available: np.ndarray
    inactive: np.ndarray
    interrupts: np.ndarray
    episode_limit: int
    discount: float
    state_is_shown: bool
    action_names: tuple[str, ...]

    @property
    def n_states(self) -> int:
        """S."""
        return self.start.shape[0]

    @property
    def n_agents(self) -> int:
        """N."""
        return self.durations.shape[0]

    @property
    def n_own_actions(self) -> int:
        """A; the simulator's actions are these, after `noop` and `continue`."""
        return self.durations.shape[1]

    @property
    def longest(self) -> int:
        """D."""
        return self.durations.shape[2]

    @property
    def n_observations(self) -> int:
        """O."""
        return self.observations.shape[2]


def make_task(
    name: str,
    *,
    transitions: Any,
    rewards: Any,
    durations: Any,
    observations: Any,
    start: Any,
    episode_limit: Any,
    terminal: Any = None,
    available: Any = None,
    inactive: Any = None,
    interrupts: Any = None,
    discount: Any = 0.99,
    state_is_shown: Any = True,
    action_names: Sequence[str] | None = None,
) -> TabularTask:
    """The task of what a user writes: arrays or nested lists; checked, normalised and copied.

    Args:
        name: of the task, for the error lines.
        transitions: [S, M, …, M, S] probabilities; an activity axis has 2 A entries, or A where an action
            does the same in all of its steps. Rows of terminal states are not read (they become: stay).
        rewards: [S, M, …, M], likewise.
        durations: [N, A] whole numbers of at least 1, or [N, A, D] probabilities.
        observations: [S, N] whole numbers of at least 0, or [S, N, O] probabilities.
        start: the number of a state, or [S] probabilities.
        episode_limit: whole number from 1 to a million.
        terminal: [S]; None is nowhere.
        available: [S, N, A]; None is everywhere. In a state that is not terminal every agent in play needs
            an action.
        inactive, interrupts: [S, N]; None is nowhere.
        discount: from 0 to below 1.
        state_is_shown: bool.
        action_names: A different texts, none of them `noop` or `continue`; None is action_0 and so on.

    Raises:
        ValueError: what is wrong and where, in one line.
    """
    duration_rows = _duration_rows(name, durations)
    n_agents, n_actions = duration_rows.shape[:2]
    next_states = _activity_array(name, "transitions", transitions, n_agents, n_actions, True)
    step_rewards = _activity_array(name, "rewards", rewards, n_agents, n_actions, False)
    n_states = next_states.shape[0]
    if not next_states.shape[-1] == step_rewards.shape[0] == n_states:
        raise ValueError(UNEQUAL_STATES.format(
            name=name, first=n_states, last=next_states.shape[-1], rewards=step_rewards.shape[0]
        ))  # fmt: skip
    is_terminal = validate.flags(name, "terminal", terminal, (n_states,), "[states]")
    agents = (n_states, n_agents)
    is_inactive = validate.flags(name, "inactive", inactive, agents, "[states, agents]")
    is_inactive |= is_terminal[:, None]
    can_choose = _available(name, available, is_inactive, n_actions)
    validate.probabilities(name, "transitions", next_states, is_read=~is_terminal)
    next_states = _over_activities(name, "transitions", next_states, n_agents, n_actions)
    next_states[is_terminal] = np.eye(n_states)[is_terminal].reshape(-1, *[1] * n_agents, n_states)
    step_rewards = _over_activities(name, "rewards", step_rewards, n_agents, n_actions)
    step_rewards[is_terminal] = 0.0
    return TabularTask(
        transitions=next_states,
        rewards=step_rewards,
        durations=duration_rows,
        observations=_observation_rows(name, observations, agents),
        start=_start_row(name, start, is_terminal),
        terminal=is_terminal,
        available=can_choose,
        inactive=is_inactive,
        interrupts=validate.flags(name, "interrupts", interrupts, agents, "[states, agents]"),
        episode_limit=validate.whole(name, "episode_limit", episode_limit, 1, LONGEST_EPISODE),
        discount=_discount(name, discount),
        state_is_shown=validate.flag(name, "state_is_shown", state_is_shown),
        action_names=_names(name, action_names, n_actions),
    )


def _activity_array(
    name: str, field: str, value: Any, n_agents: int, n_actions: int, has_next: bool
) -> np.ndarray:
    """`value` with one axis of states, N of activities and perhaps one of next states; as written."""
    array = validate.numbers(name, field, value)
    n_axes = 1 + n_agents + has_next
    are_activities = set(array.shape[1: 1 + n_agents]) <= {n_actions, 2 * n_actions}
    if array.ndim != n_axes or array.size == 0 or not are_activities:
        raise ValueError(WRONG_AXES.format(
            name=name, field=field, shape=array.shape, n_axes=n_axes, agents=n_agents,
            sizes=f"{n_actions} or {2 * n_actions}", last=", then one of next states" if has_next else "",
        ))  # fmt: skip
    if not has_next and np.abs(array).max() > LARGEST_REWARD:
        at = np.unravel_index(np.abs(array).argmax(), array.shape)
        place = validate.place(field, [int(k) for k in at])
        raise ValueError(TOO_GREAT.format(name=name, place=place, value=array[at], most=LARGEST_REWARD))
    return array


def _over_activities(name: str, field: str, array: np.ndarray, n_agents: int, n_actions: int) -> np.ndarray:
    """`array` with 2 A entries on every activity axis: one of A is repeated for the last steps."""
    shape = [array.shape[0], *[2 * n_actions] * n_agents, *array.shape[n_agents + 1:]]
    validate.require_size(name, field, shape)
    for axis in range(1, n_agents + 1):
        if array.shape[axis] == n_actions:
            array = np.concatenate([array, array], axis=axis)
    return array


def _duration_rows(name: str, durations: Any) -> np.ndarray:
    """[N, A, D] of [N, A] whole numbers or [N, A, D] probabilities."""
    array = validate.numbers(name, "durations", durations)
    if array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(WRONG_DURATIONS.format(name=name, shape=array.shape))
    if array.ndim == 3:
        validate.probabilities(name, "durations", array)
        return array
    steps = validate.whole_numbers(name, "durations", array, 1, "a whole number of at least 1 (steps)")
    return _one_hot(name, "durations", steps - 1)


def _observation_rows(name: str, observations: Any, agents: tuple[int, int]) -> np.ndarray:
    """[S, N, O] of [S, N] whole numbers or [S, N, O] probabilities."""
    array = validate.numbers(name, "observations", observations)
    if array.ndim not in (2, 3) or array.shape[:2] != agents or array.size == 0:
        raise ValueError(WRONG_OBSERVATIONS.format(name=name, shape=array.shape, agents=agents))
    if array.ndim == 3:
        validate.probabilities(name, "observations", array)
        return array
    seen = validate.whole_numbers(name, "observations", array, 0, "a whole number of at least 0")
    return _one_hot(name, "observations", seen)


def _one_hot(name: str, field: str, values: np.ndarray) -> np.ndarray:
    """[..., values.max() + 1] float64."""
    shape = (*values.shape, int(values.max()) + 1)
    validate.require_size(name, field, shape)
    rows = np.zeros(shape)
    np.put_along_axis(rows, values[..., None], 1.0, axis=-1)
    return rows


def _start_row(name: str, start: Any, is_terminal: np.ndarray) -> np.ndarray:
    """[S] of the number of a state or [S] probabilities."""
    n_states = is_terminal.shape[0]
    row = validate.numbers(name, "start", start)
    if row.ndim == 0:
        state = validate.whole(name, "start", int(row) if row == np.floor(row) else start, 0, n_states - 1)
        row = np.eye(n_states)[state]
    validate.require_shape(name, "start", row, (n_states,), "[states], or the number of one state")
    validate.probabilities(name, "start", row)
    if (row[is_terminal] > 0.0).any():
        state = int(np.flatnonzero(is_terminal & (row > 0.0))[0])
        raise ValueError(TERMINAL_START.format(name=name, state=state))
    return row


def _available(name: str, available: Any, is_inactive: np.ndarray, n_actions: int) -> np.ndarray:
    """[S, N, A] bool; every agent in play has an action."""
    shape = (*is_inactive.shape, n_actions)
    letters = "[states, agents, actions]"
    can_choose = validate.flags(name, "available", available, shape, letters, default=True)
    stuck = ~is_inactive & ~can_choose.any(axis=-1)
    if stuck.any():
        state, agent = (int(k) for k in np.argwhere(stuck)[0])
        raise ValueError(NO_ACTION.format(name=name, state=state, agent=agent))
    return can_choose


def _discount(name: str, discount: Any) -> float:
    value = validate.numbers(name, "discount", discount)
    if value.ndim != 0 or not 0.0 <= value < 1.0:
        raise ValueError(BAD_DISCOUNT.format(name=name, value=discount))
    return float(value)


def _names(name: str, given: Sequence[str] | None, n_actions: int) -> tuple[str, ...]:
    if given is None:
        return tuple(f"action_{k}" for k in range(n_actions))
    names = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    are_texts = all(isinstance(text, str) and text.strip() and text.isprintable() for text in names)
    if not are_texts or len(names) != n_actions or len({*names, *RESERVED}) != n_actions + len(RESERVED):
        raise ValueError(BAD_NAMES.format(name=name, given=given, n_actions=n_actions))
    return tuple(str(text) for text in names)
