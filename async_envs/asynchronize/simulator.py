"""Any parallel task of PettingZoo or Gymnasium as a batched asynchronous simulator.

A step of ours is a step of the task. What an agent decides takes it some steps, and the task is told something for
the agent at each of them (`mode`); meanwhile the agent can only `continue`. The tasks are Python objects, one an
episode: a batch saves forward passes, not steps.
"""

from importlib import import_module
from typing import Any, Callable, Mapping, Sequence

import gymnasium
import numpy as np
from gymnasium import spaces

from async_envs.asynchronize.example import Carriers
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
from async_envs.asynchronize.worlds import GymnasiumWorld, ParallelWorld, World, limit_of
from async_envs.core.compile import warm_up
from async_envs.core.simulator import FIRST_ACTION, Simulator

__all__ = ["Asynchronized", "make_gymnasium", "make_pettingzoo"]

EXAMPLE = "async_envs.asynchronize.example"
MAKER = "parallel_env"
PICTURES = ("rgb_array", "ansi")
WIDEST = 1e6  # bounds beyond it say nothing about what is seen

NO_MODULE = (
    "{key}: the module {module} cannot be imported ({error}). Install its package, or write another one: "
    "async:pettingzoo-MODULE or async:pettingzoo-MODULE:NAME."
)
NO_MAKER = "{key}: the module {module} has no {name}. Write async:pettingzoo-MODULE:NAME with what makes the task."
NO_TASK = (
    "{key}: Gymnasium cannot make {variant} ({error}). Write async:gymnasium-ID, or async:gymnasium-PACKAGE:ID if a "
    "package registers it."
)
NOT_MADE = "{key}: the task cannot be made with kwargs={kwargs!r} ({error}). Check their names and values."
NO_PARALLEL = "{key}: {name} makes a {kind}, expected a pettingzoo.ParallelEnv. Turn-based tasks have no common clock."
NO_LIMIT = "{key}: the task does not say after how many steps it ends. Add episode_limit=N (env_args.episode_limit=N)."
NO_IDLE = (
    "{key}: mode={mode!r} needs the task's action that does nothing. Add idle=K (env_args.idle=K), counted from 0."
)
BAD_IDLE = "{key}: idle={given} is no action of {agent}, which has {n}. Use 0 to {last}."
N_DURATIONS = "{key}: {name} has {given} numbers for {expected} {kind}. Give one for each{or_one}."
NOT_FINITE = (
    "{key}: the task shows a number that is not finite (an observation or its state) in episode {episode}, step {t}. "
    "Mend the task."
)


class Asynchronized(Simulator):
    """B copies of a task, with durations.

    Args:
        key: name of the task, for error lines.
        make_world: makes one copy.
        options: of `family.OPTIONS`; those left out are at their defaults.

    Raises:
        ValueError: durations, idle or a limit that do not fit the task; one line.
    """

    def __init__(self, key: str, batch_size: int, make_world: Callable[[], World], options: Mapping[str, Any]):
        chosen = {**{option.name: option.default for option in OPTIONS}, **options}
        first = make_world()
        limit = chosen["episode_limit"] or limit_of(first.env)
        if limit is None:
            raise ValueError(NO_LIMIT.format(key=key))
        first.reset(0)
        n, n_own = len(first.agents), max(first.n_actions)
        self._timers = bool(chosen["async_features"])
        width = max(spaces.flatdim(space) for space in first.spaces)
        state = first.state()
        n_state = n * width if state is None else len(state)
        timers = [f"steps_left_{k}" for k in range(n)]
        super().__init__(
            key=key,
            batch_size=batch_size,
            n_agents=n,
            episode_limit=limit,
            action_names=("noop", "continue", *(f"action_{k}" for k in range(n_own))),
            obs_names=[*(f"obs_{k}" for k in range(width)), *(["own_steps_left"] if self._timers else [])],
            state_names=[*(f"state_{k}" for k in range(n_state)), *(timers if self._timers else [])],
            metric_names=(),
        )
        self._make_world = make_world if chosen["remake"] else None
        self._worlds = [first, *(make_world() for _ in range(batch_size - 1))]
        self._width, self._n_state = width, n_state
        self._features = [_features(space, chosen["scale"] == "bounds") for space in first.spaces]
        self._mode = MODES.index(chosen["mode"])
        self._idle = NO_ACTION if chosen["idle"] is None else chosen["idle"]
        self._is_mean = chosen["reward"] == "mean"
        self._jitter = int(chosen["jitter"])
        self._steps = _durations(key, chosen, n, n_own)  # [N, own actions]
        self._longest = float(self._steps.max() + self._jitter)
        _check_idle(key, chosen["mode"], chosen["idle"], first)
        if getattr(first.env, "render_mode", None) in PICTURES:
            self.render_modes = (first.env.render_mode,)
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
            if self._make_world is not None:
                self._worlds[b].env.close()
                self._worlds[b] = self._make_world()
            self._worlds[b].reset(int(seeds[b]))
            self._look(b)
        self._show(where)

    def _step(self, actions: np.ndarray) -> None:
        running = ~(self.terminated | self.truncated)
        clocks = (self._left, self._taken, self._ongoing)
        decide_batch(actions, running, self._steps, self._jitter, self._streams, *clocks)
        tell_batch(running, self._masks, *clocks, self._mode, self._idle, self._told)
        self.reward[:] = 0.0
        for b in np.flatnonzero(running).tolist():
            outcome = self._worlds[b].step(self._told[b].tolist())
            total = sum(outcome.rewards)
            self.reward[b] = total / max(1, len(outcome.rewards)) if self._is_mean else total
            self.t[b] += 1
            is_late = outcome.is_late or (not outcome.is_over and self.t[b] >= self.episode_limit)
            self.truncated[b], self.terminated[b] = is_late, outcome.is_over and not is_late
            self._look(b)
        pass_batch(running, self.terminated, self._left, self._taken)
        self._show(running)

    def _look(self, b: int) -> None:
        """Read what a task shows now. Writes: obs, state and masks of one episode, without the steps left."""
        world = self._worlds[b]
        obs, masks = self.obs[b], self._masks[b]
        obs[:] = 0.0
        masks[:] = 0
        for i, features in enumerate(self._features):
            if world.is_there(i):
                mask = world.mask(i)
                masks[i, : world.n_actions[i]] = 1 if mask is None else np.asarray(mask) != 0
                seen = features(world.seen(i))
                obs[i, : len(seen)] = seen
        state = world.state()
        self.state[b, : self._n_state] = obs[:, : self._width].ravel() if state is None else state

    def _show(self, where: np.ndarray) -> None:
        """Masks and steps left of the episodes of the mask `where`. Writes: avail_actions, obs, state, steps left."""
        clocks = (self._left, self._ongoing, self._longest if self._timers else 0.0)
        shown = (self.obs, self.state, self.avail_actions)
        b = show_batch(where, self._masks, self._mode == REPEAT, *clocks, *shown)
        if b != ALL_FINITE:
            raise FloatingPointError(NOT_FINITE.format(key=self.key, episode=b, t=int(self.t[b])))

    def render(self, episode: int = 0, mode: str | None = None) -> Any:
        """The task's own picture; it is made with render_mode in kwargs.

        Raises:
            ValueError: it was made without.
        """
        if not self.render_modes:
            return super().render(episode, mode)
        return self._worlds[episode].env.render()

    def close(self) -> None:
        """Let go of the copies."""
        for world in self._worlds:
            world.env.close()

    def _while_doing(self, episode: int, agent: int) -> str:
        left = int(self._left[episode, agent])
        if left == 0:
            return ""
        name = self.action_names[FIRST_ACTION + self._ongoing[episode, agent]]
        return f"while executing {name!r} ({left} step{'s' if left > 1 else ''} left)"


def make_pettingzoo(key: str, variant: str, batch_size: int, **options: Any) -> Asynchronized:
    """The simulator of `async:pettingzoo-MODULE`, whose `parallel_env` makes the task, or `-MODULE:NAME`.

    Raises:
        ValueError: no such module or name, arguments that it refuses, or a task that does not fit; one line.
    """
    module, _, name = (EXAMPLE if variant == "example" else variant).partition(":")
    name = name or MAKER
    try:
        found = import_module(module)
    except Exception as error:  # a foreign module may fail in any way
        raise ValueError(NO_MODULE.format(key=key, module=module, error=_short(error))) from error
    make = getattr(found, name, None)
    if not callable(make):
        raise ValueError(NO_MAKER.format(key=key, module=module, name=name))
    kwargs = arguments(options.get("kwargs") or "")

    def make_world() -> World:
        env = _made(key, options, lambda: make(**kwargs))
        if not (hasattr(env, "possible_agents") and hasattr(env, "observation_space") and not hasattr(env, "last")):
            raise ValueError(NO_PARALLEL.format(key=key, name=f"{module}:{name}", kind=type(env).__name__))
        return ParallelWorld(key, env)

    return _simulator(key, batch_size, make_world, options)


def make_gymnasium(key: str, variant: str, batch_size: int, **options: Any) -> Asynchronized:
    """The simulator of `async:gymnasium-ID`; `-PACKAGE:ID` first imports the package, as in `gymnasium.make`.

    Raises:
        ValueError: no such task, arguments that it refuses, or a task that does not fit; one line.
    """
    package, _, name = variant.rpartition(":")
    try:
        if package:
            import_module(package)
        gymnasium.spec(name)
    except Exception as error:  # a foreign package may fail in any way
        raise ValueError(NO_TASK.format(key=key, variant=variant, error=_short(error))) from error
    limit = options.get("episode_limit")
    kwargs = {
        "disable_env_checker": True,
        **({} if limit is None else {"max_episode_steps": limit}),
        **arguments(options.get("kwargs") or ""),
    }

    def make_world() -> World:
        return GymnasiumWorld(key, _made(key, options, lambda: gymnasium.make(name, **kwargs)))

    return _simulator(key, batch_size, make_world, options)


def _simulator(
    key: str, batch_size: int, make_world: Callable[[], World], options: Mapping[str, Any]
) -> Asynchronized:
    warm_up("asynchronize", _play_two_steps)
    return Asynchronized(key, batch_size, make_world, options)


def _play_two_steps() -> None:
    simulator = Asynchronized("warm_up", 1, lambda: ParallelWorld("warm_up", Carriers()), {"jitter": 1})
    simulator.reset([0])
    for _ in range(2):
        simulator.step(simulator.avail_actions.argmax(-1))


def _made(key: str, options: Mapping[str, Any], make: Callable[[], Any]) -> Any:
    try:
        return make()
    except Exception as error:  # a foreign task may fail in any way
        raise ValueError(
            NOT_MADE.format(key=key, kwargs=options.get("kwargs") or "", error=_short(error))
        ) from error


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


def _features(space: spaces.Space, is_moved: bool) -> Callable[[Any], np.ndarray]:
    """What makes a vector of an observation; moved: what has two bounds lies in -1 … 1."""
    if not isinstance(space, spaces.Box):
        return lambda seen: np.asarray(spaces.flatten(space, seen))
    if not is_moved:
        return lambda seen: np.asarray(seen).ravel()
    low, high = space.low.ravel().astype(np.float64), space.high.ravel().astype(np.float64)
    is_bounded = (low > -WIDEST) & (high < WIDEST) & (high > low)
    low, high = np.where(is_bounded, low, -1.0), np.where(is_bounded, high, 1.0)
    return lambda seen: (np.asarray(seen).ravel() - (low + high) / 2) * (2.0 / (high - low))


def _short(error: Exception) -> str:
    """An error in one line."""
    return " ".join(str(error).split()) or type(error).__name__
