"""Any parallel task of PettingZoo or Gymnasium as a batched asynchronous simulator.

A step of ours is a step of the task. What an agent decides takes it some steps, and the task is told something for
the agent at each of them (`mode`); meanwhile the agent can only `continue`. The tasks are Python objects, one an
episode: a batch saves forward passes, not steps.
"""

from math import fsum
from typing import Any, Callable, Mapping, NamedTuple, Sequence

import numpy as np
from gymnasium import spaces

from async_envs.asynchronize.family import MODES, OPTIONS, arguments
from async_envs.asynchronize.kernels import (
    ALL_FINITE,
    NO_ACTION,
    REPEAT,
    decide_batch,
    pass_batch,
    show_batch,
    tell_batch,
)
from async_envs.asynchronize.worlds import (
    BAD_SIZE,
    FOREIGN,
    NOTHING_SEEN,
    World,
    checked_mask,
    in_one_line,
    limit_of,
    state_dim_of,
)
from async_envs.core.simulator import FIRST_ACTION, NOT_RESET, Simulator

__all__ = ["Asynchronized"]

PICTURES = ("rgb_array", "ansi")
WIDEST = 1e6  # bounds beyond it say nothing about what is seen

NOT_PLAYED = "{key}: the task cannot be played with kwargs={kwargs!r} ({error}). Check their values, or mend the task."
NO_LIMIT = "{key}: the task does not say after how many steps it ends. Add episode_limit=N (env_args.episode_limit=N)."
TOO_LONG = (
    "{key}: episode_limit={given} is above the task's own {own}. Use at most {own}, or raise the task's in kwargs "
    "(such as max_cycles)."
)
NO_IDLE = (
    "{key}: mode={mode!r} needs the task's action that does nothing. Add idle=K (env_args.idle=K), counted from 0."
)
BAD_IDLE = "{key}: idle={given} is no action of {agent}, which has {n}. Use 0 to {last}."
N_DURATIONS = "{key}: {name} has {given} numbers for {expected} {kind}. Give one for each{or_one}."
FAILED = "{key}: the task failed in {what} (episode {episode}, step {t}): {error}. Mend the task."
BAD_STATE = "its state has {given} features, had {expected} at first"
NOT_FINITE = "it shows a number that is not finite, in a reward, an observation or its state"


class Sizes(NamedTuple):
    """What a task is like, seen from one copy of it."""

    agents: tuple[str, ...]
    n_actions: tuple[int, ...]
    spaces: tuple[spaces.Space, ...]
    state_dim: int | None  # None where it has none
    limit: int
    render_modes: tuple[str, ...]


class Asynchronized(Simulator):
    """B copies of a task, with durations.

    Args:
        key: name of the task, for error lines.
        make_world: makes one copy.
        options: of `family.OPTIONS`; those left out are at their defaults.

    Raises:
        ValueError: a task that cannot be played; durations, idle or a limit that do not fit it; one line.
    """

    def __init__(self, key: str, batch_size: int, make_world: Callable[[], World], options: Mapping[str, Any]):
        chosen = {**{option.name: option.default for option in OPTIONS}, **options}
        sizes = look_at(key, make_world, chosen)
        n, n_own = len(sizes.agents), max(sizes.n_actions)
        width = max(spaces.flatdim(space) for space in sizes.spaces)
        n_state = n * width if sizes.state_dim is None else sizes.state_dim
        self._timers = bool(chosen["async_features"])
        timers = [f"steps_left_{k}" for k in range(n)]
        super().__init__(
            key=key,
            batch_size=batch_size,
            n_agents=n,
            episode_limit=sizes.limit,
            action_names=("noop", "continue", *(f"action_{k}" for k in range(n_own))),
            obs_names=[*(f"obs_{k}" for k in range(width)), *(["own_steps_left"] if self._timers else [])],
            state_names=[*(f"state_{k}" for k in range(n_state)), *(timers if self._timers else [])],
            metric_names=(),
        )
        self.render_modes = sizes.render_modes
        self._make_world, self._remakes = make_world, bool(chosen["remake"])
        self._worlds: list[World | None] = [None] * batch_size
        self._sizes, self._width, self._n_state = sizes, width, n_state
        self._features = [_features(space, chosen["scale"] == "bounds") for space in sizes.spaces]
        self._mode = MODES.index(chosen["mode"])
        self._idle = NO_ACTION if chosen["idle"] is None else chosen["idle"]
        self._is_mean = chosen["reward"] == "mean"
        self._jitter = int(chosen["jitter"])
        self._steps = _durations(key, chosen, n, n_own)  # [N, own actions]
        self._longest = float(self._steps.max() + self._jitter)
        self._streams = np.zeros(batch_size, np.uint64)
        self._left = np.zeros((batch_size, n), np.int32)  # steps owed, the next one included
        self._taken = np.zeros((batch_size, n), np.int32)  # of the current decision
        self._ongoing = np.zeros((batch_size, n), np.int32)  # the task's action
        self._told = np.zeros((batch_size, n), np.int32)  # the task's action in this step
        self._masks = np.zeros((batch_size, n, n_own), np.uint8)  # what the task lets each agent do

    def _reset(self, seeds: np.ndarray, where: np.ndarray) -> None:
        self._streams[where] = seeds[where]
        self._left[where] = self._taken[where] = self._ongoing[where] = 0
        for b in np.flatnonzero(where).tolist():
            try:
                self._begin(b, int(seeds[b]))
            except FOREIGN as error:
                raise self._blame("reset", b, error) from error
        self._show(where, "reset")

    def _begin(self, b: int, seed: int) -> None:
        world = self._worlds[b]
        if world is not None and self._remakes:
            world.env.close()
        if world is None or self._remakes:
            world = self._worlds[b] = self._make_world()
        world.reset(seed)
        self._look(world, b)

    def _step(self, actions: np.ndarray) -> None:
        running = ~(self.terminated | self.truncated)
        clocks = (self._left, self._taken, self._ongoing)
        decide_batch(actions, running, self._steps, self._jitter, self._streams, *clocks)
        tell_batch(running, self._masks, *clocks, self._mode, self._idle, self._told)
        self.reward[:] = 0.0
        for b in np.flatnonzero(running).tolist():
            try:
                self._play(b)
            except FOREIGN as error:
                raise self._blame("step", b, error) from error
        pass_batch(running, self.terminated, self._left, self._taken)
        self._show(running, "step")

    def _play(self, b: int) -> None:
        world = self._worlds[b]
        assert world is not None  # there was a reset
        outcome = world.step(self._told[b].tolist())
        total = fsum(outcome.rewards)  # the same in every version of Python, which `sum` is not
        if not np.isfinite(total):
            raise ValueError(NOT_FINITE)
        self.reward[b] = total / max(1, len(outcome.rewards)) if self._is_mean else total
        self.t[b] += 1
        is_late = outcome.is_late or (not outcome.is_over and self.t[b] >= self.episode_limit)
        self.truncated[b], self.terminated[b] = is_late, outcome.is_over and not is_late
        self._look(world, b)

    def _look(self, world: World, b: int) -> None:
        """Read what a task shows now. Writes: obs, state and masks of one episode, without the steps left."""
        obs, masks = self.obs[b], self._masks[b]
        obs[:] = 0.0
        masks[:] = 0
        for i, (features, expected) in enumerate(self._features):
            if not world.is_there(i):
                continue
            agent, n_actions = self._sizes.agents[i], self._sizes.n_actions[i]
            mask, seen = world.mask(i), world.seen(i)
            masks[i, :n_actions] = 1 if mask is None else checked_mask(mask, agent, n_actions)
            if seen is None:
                raise ValueError(NOTHING_SEEN.format(agent=agent))
            vector = features(seen)
            if len(vector) != expected:
                raise ValueError(BAD_SIZE.format(agent=agent, given=len(vector), expected=expected))
            obs[i, :expected] = vector
        state = world.state() if self._sizes.state_dim is not None else obs[:, : self._width].ravel()
        if len(state) != self._n_state:
            raise ValueError(BAD_STATE.format(given=len(state), expected=self._n_state))
        self.state[b, : self._n_state] = state

    def _show(self, where: np.ndarray, what: str) -> None:
        """Masks and steps left of the episodes of the mask `where`. Writes: avail_actions, obs, state, steps left."""
        clocks = (self._left, self._ongoing, self._longest if self._timers else 0.0)
        shown = (self.obs, self.state, self.avail_actions)
        b = show_batch(where, self._masks, self._mode == REPEAT, *clocks, *shown)
        if b != ALL_FINITE:
            raise self._blame(what, b, NOT_FINITE)

    def _blame(self, what: str, b: int, error: BaseException | str) -> RuntimeError:
        """What went wrong, in one line with key, episode and step."""
        why = error if isinstance(error, str) else in_one_line(error)
        return RuntimeError(FAILED.format(key=self.key, what=what, episode=b, t=int(self.t[b]), error=why))

    def render(self, episode: int = 0, mode: str | None = None) -> Any:
        """The task's own picture; it is made with render_mode in kwargs.

        Raises:
            ValueError: it was made without, or there was no reset.
        """
        if not self.render_modes:
            return super().render(episode, mode)
        world = self._worlds[episode]
        if world is None:
            raise ValueError(NOT_RESET.format(key=self.key))
        return world.env.render()

    def close(self) -> None:
        """Let go of the copies; a reset makes new ones."""
        for b, world in enumerate(self._worlds):
            if world is not None:
                world.env.close()
                self._worlds[b] = None

    def _while_doing(self, episode: int, agent: int) -> str:
        left = int(self._left[episode, agent])
        if left == 0:
            return ""
        name = self.action_names[FIRST_ACTION + self._ongoing[episode, agent]]
        return f"while executing {name!r} ({left} step{'s' if left > 1 else ''} left)"


def look_at(key: str, make_world: Callable[[], World], chosen: Mapping[str, Any]) -> Sizes:
    """Make one copy of a task, reset it, and let it go.

    Raises:
        ValueError: it cannot be played, or the chosen limit or idle action does not fit it; one line.
    """
    world = make_world()
    try:
        try:
            world.reset(0)
            state_dim = state_dim_of(world)
        except FOREIGN as error:
            line = NOT_PLAYED.format(key=key, kwargs=chosen["kwargs"] or "", error=in_one_line(error))
            raise ValueError(line) from error
        own, limit = limit_of(world.env, arguments(chosen["kwargs"] or "")), chosen["episode_limit"]
        if limit is None and own is None:
            raise ValueError(NO_LIMIT.format(key=key))
        if limit is not None and own is not None and limit > own:
            raise ValueError(TOO_LONG.format(key=key, given=limit, own=own))
        _check_idle(key, chosen["mode"], chosen["idle"], world)
        mode = getattr(world.env, "render_mode", None)
        return Sizes(
            world.agents,
            world.n_actions,
            world.spaces,
            state_dim,
            int(limit or own or 0),
            (mode,) if mode in PICTURES else (),
        )
    finally:
        world.env.close()


def _durations(key: str, chosen: Mapping[str, Any], n_agents: int, n_actions: int) -> np.ndarray:
    """[N, own actions] int32: steps of each action of each agent, without jitter."""
    rule = chosen["durations"]
    if isinstance(rule, str):
        by_agent = np.arange(n_agents) % 3 + 1 if rule == "index_mod3" else np.ones(n_agents, np.int64)
    else:
        by_agent = _as_many(key, "durations", rule, n_agents, "agents", may_be_one=True)
    by_action = np.ones(n_actions, np.int64)
    if chosen["action_durations"] is not None:
        by_action = _as_many(key, "action_durations", chosen["action_durations"], n_actions, "actions", False)
    steps: np.ndarray = np.outer(by_agent, by_action).astype(np.int32)
    return steps


def _as_many(key: str, name: str, given: Sequence[int], expected: int, kind: str, may_be_one: bool) -> np.ndarray:
    if len(given) == 1 and may_be_one:
        given = list(given) * expected
    if len(given) != expected:
        or_one = ", or one for all" if may_be_one else ""
        raise ValueError(
            N_DURATIONS.format(key=key, name=name, given=len(given), expected=expected, kind=kind, or_one=or_one)
        )
    return np.array(given, np.int64)


def _check_idle(key: str, mode: str, idle: int | None, world: World) -> None:
    if idle is None and mode != "repeat":
        raise ValueError(NO_IDLE.format(key=key, mode=mode))
    for agent, n in zip(world.agents, world.n_actions):
        if idle is not None and idle >= n:
            raise ValueError(BAD_IDLE.format(key=key, given=idle, agent=agent, n=n, last=n - 1))


def _features(space: spaces.Space, is_moved: bool) -> tuple[Callable[[Any], np.ndarray], int]:
    """What makes a vector of an observation, and its length; moved: what has two bounds lies in -1 … 1."""
    if isinstance(space, spaces.Box):
        flat: Any = space

        def vector(seen: Any) -> np.ndarray:
            return np.asarray(seen).ravel()
    else:
        flat = spaces.flatten_space(space)

        def vector(seen: Any) -> np.ndarray:
            return np.asarray(spaces.flatten(space, seen))

    if not is_moved or not isinstance(flat, spaces.Box):
        return vector, spaces.flatdim(space)
    low, high = flat.low.ravel().astype(np.float64), flat.high.ravel().astype(np.float64)
    is_bounded = (low > -WIDEST) & (high < WIDEST) & (high > low)
    low, high = np.where(is_bounded, low, -1.0), np.where(is_bounded, high, 1.0)
    middle, factor = (low + high) / 2, 2.0 / (high - low)
    return lambda seen: (vector(seen) - middle) * factor, len(low)
