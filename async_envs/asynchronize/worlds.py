"""A task of PettingZoo or Gymnasium behind one small interface, without the asynchrony.

Agents are numbered as the task lists them. Seeds are cut to 31 bits, as some tasks take no more.
"""

from typing import Any, Callable, Mapping, NamedTuple, Protocol, Sequence

import numpy as np
from gymnasium import spaces

__all__ = ["GymnasiumWorld", "Outcome", "ParallelWorld", "World", "limit_of"]

SEED_BITS = 31
LIMITS = ("max_episode_steps", "_max_episode_steps", "max_cycles", "max_steps", "episode_limit", "time_limit")

NOT_NUMBERED = (
    "{key}: {agent} has the action space {space}, expected Discrete from 0. Wrap the task so that its actions are "
    "numbered."
)
NO_VECTOR = "{key}: {agent} has the observation space {space}, which cannot be flattened ({error}). Wrap the task."
NO_TEAM = "{key}: {n} observation spaces for {m} action spaces. Wrap the task so that both are Tuples of equal length."


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
        """What the agent observes, an element of its space; None if it is not there."""

    def mask(self, agent: int) -> Any:
        """[A of the agent]: which actions it may choose; None if it may choose all."""

    def state(self) -> np.ndarray | None:
        """[S], if the task has one."""


class ParallelWorld:
    """A `pettingzoo.ParallelEnv`, or whatever has its methods."""

    def __init__(self, key: str, env: Any):
        self.env = env
        self.agents = tuple(map(str, env.possible_agents))
        self.n_actions = tuple(_n_actions(key, agent, env.action_space(agent)) for agent in env.possible_agents)
        found = [env.observation_space(agent) for agent in env.possible_agents]
        self.spaces = tuple(space["observation"] if _has_mask(space) else space for space in found)
        _check_vectors(key, self.agents, self.spaces)
        self._names = list(env.possible_agents)
        self._seen: Mapping[Any, Any] = {}
        self._infos: Mapping[Any, Any] = {}
        self._there: set[Any] = set()
        self._has_state = True

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
        return Outcome([float(reward) for reward in rewards.values()], is_over, is_over and bool(late))

    def is_there(self, agent: int) -> bool:
        """Whether the agent is among the task's agents."""
        return self._names[agent] in self._there

    def seen(self, agent: int) -> Any:
        """The observation without its mask."""
        found: Any = self._seen.get(self._names[agent])
        return found["observation"] if _is_masked(found) else found

    def mask(self, agent: int) -> Any:
        """`action_mask` of the observation, or of the info."""
        found: Any = self._seen.get(self._names[agent])
        if _is_masked(found):
            return found["action_mask"]
        return (self._infos.get(self._names[agent]) or {}).get("action_mask")

    def state(self) -> np.ndarray | None:
        """`state()`, where the task has it."""
        if self._has_state:
            try:
                return np.asarray(self.env.state(), np.float32).ravel()
            except (AttributeError, NotImplementedError, TypeError):  # some have a `state` that is something else
                self._has_state = False
        return None


class GymnasiumWorld:
    """A `gymnasium.Env` of one agent, or of a team: Tuples of spaces, as EPyMARL's `gymma` expects."""

    def __init__(self, key: str, env: Any):
        self.env = env
        is_team = isinstance(env.action_space, spaces.Tuple)
        actions = tuple(env.action_space) if is_team else (env.action_space,)
        shown = tuple(env.observation_space) if isinstance(env.observation_space, spaces.Tuple) and is_team else None
        self.spaces = shown or (env.observation_space,)
        if len(self.spaces) != len(actions):
            raise ValueError(NO_TEAM.format(key=key, n=len(self.spaces), m=len(actions)))
        self.agents = tuple(f"agent_{k}" for k in range(len(actions)))
        self.n_actions = tuple(_n_actions(key, agent, space) for agent, space in zip(self.agents, actions))
        _check_vectors(key, self.agents, self.spaces)
        self._is_team = is_team
        self._available = _method(env.unwrapped, "get_avail_actions")
        self._state = _method(env.unwrapped, "get_state")
        self._seen: Sequence[Any] = ()
        self._info: Mapping[str, Any] = {}

    def reset(self, seed: int) -> None:
        """Begin an episode."""
        seen, self._info = self.env.reset(seed=seed % 2**SEED_BITS)
        self._seen = seen if self._is_team else (seen,)

    def step(self, actions: Sequence[int]) -> Outcome:
        """One step."""
        seen, reward, terminated, truncated, self._info = self.env.step(actions if self._is_team else actions[0])
        self._seen = seen if self._is_team else (seen,)
        rewards = np.asarray(reward, np.float64).ravel().tolist() if self._is_team else (float(reward),)
        is_done, is_late = _is_all(terminated), _is_all(truncated)
        return Outcome(rewards, is_done or is_late, is_late and not is_done)

    def is_there(self, agent: int) -> bool:
        """Everybody, always."""
        return True

    def seen(self, agent: int) -> Any:
        """The observation."""
        return self._seen[agent]

    def mask(self, agent: int) -> Any:
        """`action_mask` of the info, or `get_avail_actions()`, where the task has them."""
        found = self._info.get("action_mask")
        if found is not None:
            return found[agent] if self._is_team else found
        return None if self._available is None else self._available()[agent]

    def state(self) -> np.ndarray | None:
        """`get_state()`, where the task has it."""
        return None if self._state is None else np.asarray(self._state(), np.float32).ravel()


def limit_of(env: Any) -> int | None:
    """The steps after which a task ends its episodes, from where tasks usually say it."""
    spec = getattr(env, "spec", None)
    places = [spec, env, getattr(env, "unwrapped", None)]
    for place in places:
        for name in LIMITS:
            try:
                value = getattr(place, name, None)
            except Exception:  # wrappers of PettingZoo refuse private names
                continue
            if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value > 0:
                return int(value)
    return None


def _method(thing: Any, name: str) -> Callable[[], Any] | None:
    found = getattr(thing, name, None)
    return found if callable(found) else None


def _is_all(flags: Any) -> bool:
    """Of one flag, or of one for each agent."""
    return flags if type(flags) is bool else bool(np.all(flags))


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


def _has_mask(space: Any) -> bool:
    return isinstance(space, spaces.Dict) and set(space) == {"observation", "action_mask"}


def _is_masked(seen: Any) -> bool:
    return isinstance(seen, dict) and set(seen) == {"observation", "action_mask"}
