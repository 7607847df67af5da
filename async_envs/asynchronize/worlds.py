"""A task of PettingZoo or Gymnasium behind one small interface, without the asynchrony.

Agents are numbered as the task lists them. Seeds are cut to 31 bits, as some tasks take no more.
"""

from typing import Any, Callable, Mapping, NamedTuple, Protocol, Sequence

import numpy as np
from gymnasium import spaces

__all__ = [
    "FOREIGN",
    "GymnasiumWorld",
    "Outcome",
    "ParallelWorld",
    "World",
    "checked_mask",
    "in_one_line",
    "limit_of",
    "state_dim_of",
]

FOREIGN = (Exception, SystemExit)  # what a foreign module or task may raise
NO_STATE = (AttributeError, NotImplementedError, TypeError)  # there is none, or something else under its name

SEED_BITS = 31
MASK, REST = "action_mask", "observation"
LIMITS = ("max_episode_steps", "_max_episode_steps", "max_cycles", "max_steps", "episode_limit", "time_limit")

NOT_NUMBERED = (
    "{key}: {agent} has the action space {space}, expected Discrete from 0. Wrap the task so that its actions are "
    "numbered."
)
NO_VECTOR = "{key}: {agent} has the observation space {space}, which cannot be flattened ({error}). Wrap the task."
NO_TEAM = "{key}: {n} observation spaces for {m} action spaces. Wrap the task so that both are Tuples of equal length."
NOTHING_SEEN = "{agent} takes part and has no observation"
BAD_SIZE = "{agent} shows {given} features, its space has {expected}"
BAD_MASK = "the mask of {agent} has the shape {given}, expected ({expected},)"


class Outcome(NamedTuple):
    """What a step brought."""

    rewards: Sequence[float]  # of the agents that were there
    is_over: bool
    is_late: bool  # over by a limit of the task's own


class World(Protocol):
    """One episode at a time of a task with N agents."""

    env: Any
    agents: tuple[str, ...]  # names
    n_actions: tuple[int, ...]  # of each agent
    spaces: tuple[spaces.Space, ...]  # of each agent's observation, without its mask

    def reset(self, seed: int) -> None:
        """Begin an episode."""

    def step(self, actions: Sequence[int]) -> Outcome:
        """One step, with an action for every agent; of those that are not there it is not read."""

    def is_there(self, agent: int) -> bool:
        """Whether the agent takes part."""

    def seen(self, agent: int) -> Any:
        """What the agent observes, an element of its space; None if there is nothing."""

    def mask(self, agent: int) -> Any:
        """[A of the agent]: which actions it may choose; None if it may choose all."""

    def state(self) -> np.ndarray:
        """[S]; raises one of `NO_STATE` where the task has none."""


class Shown:
    """How an observation comes apart: a Dict may hold the mask, and what is left is what the agent sees."""

    def __init__(self, space: Any):
        self._is_masked = isinstance(space, spaces.Dict) and MASK in space.spaces and len(space.spaces) > 1
        self.space = space
        self._is_single = False
        if self._is_masked:
            rest = {name: part for name, part in space.spaces.items() if name != MASK}
            self._is_single = set(rest) == {REST}
            self.space = rest[REST] if self._is_single else spaces.Dict(rest)

    def seen(self, given: Any) -> Any:
        """An element of `space`."""
        if not self._is_masked or given is None:
            return given
        return given[REST] if self._is_single else {name: part for name, part in given.items() if name != MASK}

    def mask(self, given: Any) -> Any:
        """The mask among it, or None."""
        return given[MASK] if self._is_masked and given is not None else None


class ParallelWorld:
    """A `pettingzoo.ParallelEnv`, or whatever has its methods."""

    def __init__(self, key: str, env: Any):
        self.env = env
        self._names = list(env.possible_agents)
        self.agents = tuple(map(str, self._names))
        self.n_actions = tuple(_n_actions(key, name, env.action_space(name)) for name in self._names)
        self._shown = [Shown(env.observation_space(name)) for name in self._names]
        self.spaces = tuple(each.space for each in self._shown)
        _check_vectors(key, self.agents, self.spaces)
        self._available = _method(env.unwrapped, "get_avail_actions")
        self._seen: Mapping[Any, Any] = {}
        self._infos: Mapping[Any, Any] = {}
        self._there: set[Any] = set()

    def reset(self, seed: int) -> None:
        """Begin an episode."""
        self._seen, self._infos = self.env.reset(seed=seed % 2**SEED_BITS)
        self._there = set(self.env.agents)

    def step(self, actions: Sequence[int]) -> Outcome:
        """One step. An agent whom the limit stopped is still there: values are bootstrapped from its last status."""
        told = {name: action for name, action in zip(self._names, actions) if name in self._there}
        self._seen, rewards, terminations, truncations, self._infos = self.env.step(told)
        left = [a for a in self.env.agents if not (terminations.get(a, False) or truncations.get(a, False))]
        late = {agent for agent, is_late in truncations.items() if is_late and not terminations.get(agent, False)}
        is_over = not left
        self._there = late if is_over else set(left)
        return Outcome([_number(reward) for reward in rewards.values()], is_over, is_over and bool(late))

    def is_there(self, agent: int) -> bool:
        """Whether the agent is among the task's agents."""
        return self._names[agent] in self._there

    def seen(self, agent: int) -> Any:
        """The observation without its mask."""
        return self._shown[agent].seen(self._seen.get(self._names[agent]))

    def mask(self, agent: int) -> Any:
        """`action_mask` of the observation or of the info, else `get_avail_actions()` of the task."""
        name = self._names[agent]
        found = self._shown[agent].mask(self._seen.get(name))
        if found is None:
            found = (self._infos.get(name) or {}).get(MASK)
        if found is None and self._available is not None:
            found = self._available()
            return found[name] if isinstance(found, Mapping) else found[agent]
        return found

    def state(self) -> np.ndarray:
        """`state()`."""
        return np.asarray(self.env.state(), np.float32).ravel()


class GymnasiumWorld:
    """A `gymnasium.Env` of one agent, or of a team: Tuples of spaces, as EPyMARL's `gymma` expects."""

    def __init__(self, key: str, env: Any):
        self.env = env
        self._is_team = isinstance(env.action_space, spaces.Tuple)
        actions = tuple(env.action_space) if self._is_team else (env.action_space,)
        is_split = self._is_team and isinstance(env.observation_space, spaces.Tuple)
        observed = tuple(env.observation_space) if is_split else (env.observation_space,)
        if len(observed) != len(actions):
            raise ValueError(NO_TEAM.format(key=key, n=len(observed), m=len(actions)))
        self._shown = [Shown(space) for space in observed]
        self.spaces = tuple(each.space for each in self._shown)
        self.agents = tuple(f"agent_{k}" for k in range(len(actions)))
        self.n_actions = tuple(_n_actions(key, agent, space) for agent, space in zip(self.agents, actions))
        _check_vectors(key, self.agents, self.spaces)
        self._available = _method(env.unwrapped, "get_avail_actions")
        self._there = [True] * len(actions)
        self._seen: Sequence[Any] = ()
        self._info: Mapping[str, Any] = {}

    def reset(self, seed: int) -> None:
        """Begin an episode."""
        seen, self._info = self.env.reset(seed=seed % 2**SEED_BITS)
        self._seen = seen if self._is_team else (seen,)
        self._there = [True] * len(self.agents)

    def step(self, actions: Sequence[int]) -> Outcome:
        """One step. Flags may be one for all, or one for each agent; whom the limit stopped is still there."""
        seen, reward, terminated, truncated, self._info = self.env.step(actions if self._is_team else actions[0])
        self._seen = seen if self._is_team else (seen,)
        rewards = np.asarray(reward, np.float64).ravel().tolist() if self._is_team else (_number(reward),)
        done, late = self._flags(terminated), self._flags(truncated)
        is_over = all(one or other for one, other in zip(done, late))
        if is_over:
            self._there = [is_late and not is_done for is_done, is_late in zip(done, late)]
        else:
            self._there = [there and not (one or other) for there, one, other in zip(self._there, done, late)]
        return Outcome(rewards, is_over, is_over and any(self._there))

    def _flags(self, given: Any) -> list[bool]:
        if isinstance(given, (bool, np.bool_)):
            return [bool(given)] * len(self.agents)
        return [bool(flag) for flag in np.broadcast_to(given, len(self.agents))]

    def is_there(self, agent: int) -> bool:
        """Whoever has not ended."""
        return self._there[agent]

    def seen(self, agent: int) -> Any:
        """The observation without its mask."""
        return self._shown[agent].seen(self._seen[agent])

    def mask(self, agent: int) -> Any:
        """`action_mask` of the observation or of the info, else `get_avail_actions()` of the task."""
        found = self._shown[agent].mask(self._seen[agent])
        if found is not None:
            return found
        found = self._info.get(MASK)
        if found is None and self._available is not None:
            found = self._available()
        if found is None:
            return None
        return found[agent] if self._is_team or np.ndim(found) > 1 else found

    def state(self) -> np.ndarray:
        """`get_state()`."""
        return np.asarray(self.env.unwrapped.get_state(), np.float32).ravel()


def checked_mask(given: Any, agent: str, n_actions: int) -> np.ndarray:
    """[n_actions] uint8. Longer ones are cut, if they forbid what is cut, as teams of unequal agents have them.

    Raises:
        ValueError: another shape; one line.
    """
    mask = np.asarray(given).astype(bool)
    if mask.ndim != 1 or len(mask) < n_actions or mask[n_actions:].any():
        raise ValueError(BAD_MASK.format(agent=agent, given=mask.shape, expected=n_actions))
    return mask[:n_actions].astype(np.uint8)


def state_dim_of(world: World) -> int | None:
    """S of a world that was reset; None if the task has no state."""
    try:
        return len(world.state())
    except NO_STATE:
        return None


def limit_of(env: Any, kwargs: Mapping[str, Any]) -> int | None:
    """The steps after which a task ends its episodes: the least that the task or its arguments say."""
    found = [kwargs.get(name) for name in LIMITS]
    for place in (getattr(env, "spec", None), env, getattr(env, "unwrapped", None)):
        for name in LIMITS:
            try:
                found.append(getattr(place, name, None))
            except Exception:  # wrappers of PettingZoo refuse private names
                continue
    limits = [int(value) for value in found if isinstance(value, (int, np.integer)) and not isinstance(value, bool)]
    return min((limit for limit in limits if limit > 0), default=None)


def in_one_line(error: BaseException) -> str:
    """What an error says."""
    return " ".join(str(error).split()) or type(error).__name__


def _method(thing: Any, name: str) -> Callable[[], Any] | None:
    found = getattr(thing, name, None)
    return found if callable(found) else None


def _number(given: Any) -> float:
    return given if type(given) is float else float(np.asarray(given).item())


def _n_actions(key: str, agent: Any, space: Any) -> int:
    if not isinstance(space, spaces.Discrete) or space.start != 0:
        raise ValueError(NOT_NUMBERED.format(key=key, agent=agent, space=space))
    return int(space.n)


def _check_vectors(key: str, agents: Sequence[str], found: Sequence[Any]) -> None:
    for agent, space in zip(agents, found):
        try:
            spaces.flatdim(space)
        except (NotImplementedError, ValueError) as error:
            raise ValueError(NO_VECTOR.format(key=key, agent=agent, space=space, error=error)) from error
