# mypy: disallow-untyped-defs=False
"""The arrays of a batch of tabular episodes.

B episodes, S states, N agents, A own actions, D longest duration, O observations; J = (2 A) ** N joint
activities, the last agent's running fastest.
"""

from typing import NamedTuple

import numpy as np

from async_envs.core.compile import lean_kernel
from async_envs.tabular.task import TabularTask

NO_ACTION = -1  # nothing is under way


class Tables(NamedTuple):
    """A task as the kernels read it. Rows of probabilities are summed up: see `summed`."""

    next_state: np.ndarray  # [S * J, S] float64, summed
    rewards: np.ndarray  # [S * J] float64
    durations: np.ndarray  # [N, A, D] float64, summed; entry d: at most d + 1 steps
    observations: np.ndarray  # [S, N, O] float64, summed
    start: np.ndarray  # [1, S] float64, summed
    terminal: np.ndarray  # [S] bool
    available: np.ndarray  # [S, N, A] bool
    inactive: np.ndarray  # [S, N] bool
    ends_action: np.ndarray  # [S, N] bool, entering the state ends what the agent does
    episode_limit: int  # steps
    discount: float
    optimum: float  # the best return that an episode can have
    state_is_shown: bool  # `state` shows what every agent does


class Now(NamedTuple):
    """How the episodes stand."""

    state: np.ndarray  # [B] int64
    action: np.ndarray  # [B, N] int64, own action under way (from 0), else NO_ACTION
    left: np.ndarray  # [B, N] int64, steps left of it; 0 when deciding or inactive
    seen: np.ndarray  # [B, N] int64, the latest observation
    gathered: np.ndarray  # [B] float64, return so far
    discounted: np.ndarray  # [B] float64, the same with every step discounted
    weight: np.ndarray  # [B] float64, discount ** t
    streams: np.ndarray  # [B] uint64


class Output(NamedTuple):
    """The simulator's public arrays, as the kernels fill them."""

    obs: np.ndarray  # [B, N, O + A + 1] float32
    state: np.ndarray  # [B, F] float32
    avail_actions: np.ndarray  # [B, N, 2 + A] uint8
    reward: np.ndarray  # [B] float32
    terminated: np.ndarray  # [B] bool
    truncated: np.ndarray  # [B] bool
    t: np.ndarray  # [B] int32
    metrics: np.ndarray  # [1 or 2, B] float32: discounted_return; optimal where the optimum is known


def make_tables(task: TabularTask, optimum: float) -> Tables:
    """The tables of a task."""
    n_states = task.n_states
    return Tables(
        next_state=summed(task.transitions.reshape(-1, n_states)),
        rewards=np.array(task.rewards.reshape(-1), np.float64),
        durations=summed(task.durations),
        observations=summed(task.observations),
        start=summed(task.start[None]),
        terminal=np.array(task.terminal, np.bool_),
        available=np.array(task.available, np.bool_),
        inactive=np.array(task.inactive | task.terminal[:, None], np.bool_),
        ends_action=np.array(task.interrupts | task.inactive | task.terminal[:, None], np.bool_),
        episode_limit=task.episode_limit,
        discount=task.discount,
        optimum=optimum,
        state_is_shown=task.state_is_shown,
    )


def summed(rows: np.ndarray) -> np.ndarray:
    """[..., K]: the sums of each row up to every entry, so that u in [0, 1) draws the first entry above u.

    From the last outcome that can happen on, entries are 1, whatever rounding made of the sum: every u draws
    an outcome, and none that has probability 0.
    """
    sums = np.cumsum(rows, axis=-1)
    can_happen = rows > 0.0
    n_later: np.ndarray = np.cumsum(can_happen[..., ::-1], axis=-1)[..., ::-1] - can_happen
    sums[n_later == 0] = 1.0
    return np.ascontiguousarray(sums)


def make_now(batch_size: int, n_agents: int) -> Now:
    """Room for the episodes; a reset fills it."""
    agents = (batch_size, n_agents)
    return Now(
        state=np.zeros(batch_size, np.int64),
        action=np.full(agents, NO_ACTION, np.int64),
        left=np.zeros(agents, np.int64),
        seen=np.zeros(agents, np.int64),
        gathered=np.zeros(batch_size),
        discounted=np.zeros(batch_size),
        weight=np.zeros(batch_size),
        streams=np.zeros(batch_size, np.uint64),
    )


def flatten(tables: Tables, now: Now, out: Output) -> tuple:
    """The fields in a row, as `unflatten` takes them (numba handles them faster than NamedTuples)."""
    return (*tables, *now, *out)


_TABLES = len(Tables._fields)
_NOW = _TABLES + len(Now._fields)


@lean_kernel
def unflatten(fields):
    """(tables, now, out) whose `flatten` is `fields`."""
    return Tables(*fields[:_TABLES]), Now(*fields[_TABLES:_NOW]), Output(*fields[_NOW:])
