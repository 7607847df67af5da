"""The contract of a batched asynchronous simulator.

Letters: B episodes, N agents, A actions, O obs features, S state features.
"""

import operator
from abc import ABC, abstractmethod
from typing import Any, Sequence

import numpy as np

from async_envs.core.compile import kernel

NOOP, CONTINUE, FIRST_ACTION = 0, 1, 2  # an agent's status can be read from avail_actions alone
OBS_LIMIT = 2.0  # observations are scaled to about [-1, 1]; none leaves [-OBS_LIMIT, OBS_LIMIT]

NOT_RESET = "{key}: step was called before reset. Call reset(seeds) first."
ALL_OVER = "{key}: every episode is over. Call reset(seeds) to play on."


class Simulator(ABC):
    """B independent episodes of one task, held as arrays and stepped together.

    Action 0 is `noop` (inactive agents only), action 1 `continue` (executing agents only), a family's
    own actions start at 2. The arrays below are the kernels' own buffers: copy what you keep.

    Attributes:
        obs: [B, N, O] float32, each agent's own view, about -1 … 1.
        state: [B, S] float32, the full state, for training only.
        avail_actions: [B, N, A] uint8, 1 where the action may be chosen now; every row holds a 1.
        reward: [B] float32, the team's reward of the last step; 0 in episodes that were over.
        terminated, truncated: [B] bool, ended by the task, by the step limit.
        t: [B] int32, steps taken in the episode.
        decisions: [B] int32, actions that deciding agents have chosen in the episode.
        metrics: name -> [B] float32, filled when an episode ends, 0 before.
        action_names, obs_names, state_names, metric_names: tuples of str.
        render_modes: what `render` can draw, in the words of Gymnasium ("rgb_array", "ansi"); () if nothing.
    """

    render_modes: tuple[str, ...] = ()
    _counts_decisions = True  # False: `_step` counts them itself

    def __init__(
        self,
        *,
        key: str,
        batch_size: int,
        n_agents: int,
        episode_limit: int,
        action_names: Sequence[str],
        obs_names: Sequence[str],
        state_names: Sequence[str],
        metric_names: Sequence[str],
    ):
        if type(batch_size) is not int or batch_size < 1:
            raise ValueError(
                f"{key}: batch_size={batch_size!r} is not accepted. Use a whole number of at least 1."
            )
        self.key = key
        self.batch_size = batch_size
        self.n_agents = n_agents
        self.episode_limit = episode_limit
        self.action_names = tuple(action_names)
        self.obs_names = tuple(obs_names)
        self.state_names = tuple(state_names)
        self.metric_names = tuple(metric_names)
        self.n_actions = len(self.action_names)
        self.obs_dim = len(self.obs_names)
        self.state_dim = len(self.state_names)

        self.obs = np.zeros((batch_size, n_agents, self.obs_dim), np.float32)
        self.state = np.zeros((batch_size, self.state_dim), np.float32)
        self.avail_actions = np.zeros((batch_size, n_agents, self.n_actions), np.uint8)
        self.reward = np.zeros(batch_size, np.float32)
        self.terminated = np.zeros(batch_size, np.bool_)
        self.truncated = np.zeros(batch_size, np.bool_)
        self.t = np.zeros(batch_size, np.int32)
        self.decisions = np.zeros(batch_size, np.int32)
        self.metrics = {name: np.zeros(batch_size, np.float32) for name in self.metric_names}
        self._actions = np.zeros((batch_size, n_agents), np.int64)
        self._seeds = np.zeros(batch_size, np.uint64)
        self._all = np.ones(batch_size, np.bool_)
        self._started = False

    def reset(self, seeds: Sequence[int] | np.ndarray, where: np.ndarray | None = None) -> None:
        """Start new episodes.

        Args:
            seeds: [B] ints in [0, 2**64), one an episode; entries where the mask is False are not read.
            where: [B] bool; the episodes to restart. None restarts all.

        Raises:
            ValueError: wrong length, a seed that is no whole number or out of range, or a first reset that
                leaves episodes out. Nothing has moved.
        """
        where = self._checked_mask(where)
        self._check_seeds(seeds, where)
        clear(where, self.reward, self.terminated, self.truncated, self.t, self.decisions)
        for values in self.metrics.values():
            values[where] = 0.0
        self._reset(self._seeds, where)
        self._started = True

    def step(self, actions: np.ndarray) -> None:
        """Let one step pass in every episode that is still running.

        Rows of episodes that are over stay as they are, get reward 0, and their actions are not read.

        Args:
            actions: [B, N] int, indices into `action_names`.

        Raises:
            TypeError: actions are not whole numbers.
            ValueError: wrong shape, an action that is not available, step before reset, or every
                episode over. Nothing has moved.
        """
        self._check(actions)
        self._step(self._actions)

    @abstractmethod
    def _reset(self, seeds: np.ndarray, where: np.ndarray) -> None:
        """Begin the episodes of the mask `where` [B] bool with `seeds` [B] uint64 (ours: copy what you keep).

        Flags, clocks, rewards and metrics of these rows are 0 already. Writes: every other buffer's rows.
        """

    @abstractmethod
    def _step(self, actions: np.ndarray) -> None:
        """One step of the running episodes; `actions` [B, N] int64 are legal. Writes: every buffer."""

    def render(self, episode: int = 0, mode: str | None = None) -> Any:
        """A picture of one episode as it stands, in the given one of `render_modes` (None: the first).

        Raises:
            ValueError: the family draws nothing.
        """
        raise ValueError(f"{self.key}: has no pictures to render. Leave out render_mode.")

    def close(self) -> None:
        """Let go of what is held open outside of the arrays: a window, another program. By default, nothing is."""

    def _while_doing(self, episode: int, agent: int) -> str:
        """What the agent is busy with, for error lines: "while executing 'fire' (3 steps left)", or ""."""
        return ""

    def _check(self, actions: np.ndarray) -> None:
        if not self._started:
            raise ValueError(NOT_RESET.format(key=self.key))
        actions = np.asarray(actions)
        if actions.dtype.kind not in "iu":
            raise TypeError(
                f"{self.key}: actions have dtype {actions.dtype}, expected whole numbers. Pass int64 indices."
            )
        if actions.shape != self._actions.shape:
            raise ValueError(
                f"{self.key}: actions have shape {actions.shape}, expected {self._actions.shape} "
                "(episodes, agents). Pass one action index for each agent of each episode."
            )
        np.copyto(self._actions, actions, casting="unsafe")
        found = admit(
            self._actions, self.avail_actions, self.terminated, self.truncated, self._counts_decisions, self.decisions
        )
        if found == LEGAL:
            return
        if found == NONE_RUNNING:
            raise ValueError(ALL_OVER.format(key=self.key))
        episode, agent = divmod(found, self.n_agents)
        raise ValueError(self.illegal_action(episode, agent, int(self._actions[episode, agent])))

    def illegal_action(self, episode: int, agent: int, action: int) -> str:
        """The error line for an action that the agent may not choose now."""
        name = repr(self.action_names[action]) if 0 <= action < self.n_actions else "(out of range)"
        doing = self._while_doing(episode, agent)
        available = ", ".join(
            self.action_names[a] for a in np.flatnonzero(self.avail_actions[episode, agent])
        )
        return (
            f"{self.key}: episode {episode}, agent {agent}: action {action} {name} is not available"
            f"{' ' + doing if doing else ''}. Available: {available}."
        )

    def _check_seeds(self, seeds: Sequence[int] | np.ndarray, where: np.ndarray) -> None:
        """Writes: self._seeds, in the rows of `where`."""
        try:
            n_seeds = len(seeds)
        except TypeError as error:
            raise ValueError(
                f"{self.key}: seeds={seeds!r} are not accepted. "
                f"Pass {self.batch_size} whole numbers in [0, 2**64), one an episode."
            ) from error
        if n_seeds != self.batch_size:
            raise ValueError(
                f"{self.key}: {n_seeds} seeds were given for {self.batch_size} episodes. "
                "Pass one seed an episode."
            )
        if isinstance(seeds, np.ndarray) and seeds.dtype == np.uint64 and seeds.ndim == 1:
            np.copyto(self._seeds, seeds, where=where)
            return
        for b in range(self.batch_size):
            if not where[b]:
                continue
            try:
                self._seeds[b] = operator.index(seeds[b])
            except (OverflowError, TypeError) as error:
                raise ValueError(
                    f"{self.key}: the seed {seeds[b]!r} of episode {b} is not accepted. "
                    "Pass a whole number in [0, 2**64)."
                ) from error

    def _checked_mask(self, where: np.ndarray | None) -> np.ndarray:
        if where is None:
            return self._all
        where = np.asarray(where)
        if where.shape != (self.batch_size,) or where.dtype != np.bool_:
            raise ValueError(
                f"{self.key}: where has shape {where.shape} and dtype {where.dtype}, "
                f"expected ({self.batch_size},) bool."
            )
        if not self._started and not where.all():
            raise ValueError(f"{self.key}: the first reset must start every episode. Leave out `where`.")
        return where


LEGAL, NONE_RUNNING = -1, -2


@kernel
def admit(actions, avail_actions, terminated, truncated, counts_decisions, decisions):
    """Flat index (episode * N + agent) of the first action that may not be chosen, LEGAL, or NONE_RUNNING.

    Writes: decisions, if all may be chosen and they are to be counted: actions that are neither noop nor continue.
    """
    n_running = 0
    for b in range(actions.shape[0]):
        if terminated[b] or truncated[b]:
            continue
        n_running += 1
        for i in range(actions.shape[1]):
            action = actions[b, i]
            if action < 0 or action >= avail_actions.shape[2] or avail_actions[b, i, action] == 0:
                return b * actions.shape[1] + i
    if n_running == 0:
        return NONE_RUNNING
    if counts_decisions:
        for b in range(actions.shape[0]):
            if not (terminated[b] or truncated[b]):
                for i in range(actions.shape[1]):
                    decisions[b] += actions[b, i] >= FIRST_ACTION
    return LEGAL


@kernel
def clear(where, reward, terminated, truncated, t, decisions):
    """Zero the clocks and flags of the episodes in `where`. Writes: the arrays but `where`."""
    for b in range(where.shape[0]):
        if where[b]:
            reward[b] = 0.0
            terminated[b] = False
            truncated[b] = False
            t[b] = 0
            decisions[b] = 0
