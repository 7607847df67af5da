"""Plain tasks of PettingZoo and Gymnasium, written for the tests: they keep what they were told."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Tuple
from pettingzoo import ParallelEnv

N_ACTIONS = (3, 2, 4)
WALK = (0, 1)  # actions that everybody has


class Leavers(ParallelEnv):
    """Agents a, b, c see a random number and their clock; c leaves after three steps, b when it draws above 0.9.

    Masks are in the info: an agent may not choose its last action in odd steps. The task ends when a alone is left and
    has chosen 1, or after `max_cycles` steps. Everything is drawn from the episode's seed.
    """

    metadata: dict[str, Any] = {"name": "leavers"}

    def __init__(self, max_cycles: int = 12, masks: bool = True):
        self.possible_agents = ["a", "b", "c"]
        self.agents: list[str] = []
        self.max_cycles, self.has_masks, self.steps = max_cycles, masks, 0
        self.told: list[dict[str, int]] = []

    def observation_space(self, agent: str) -> Any:
        """A number of 0 … 1, and for c a clock of 0 … max_cycles too."""
        width = 2 if agent == "c" else 1
        return Box(np.zeros(width, np.float32), np.array([1.0, self.max_cycles][:width], np.float32))

    def action_space(self, agent: str) -> Discrete:
        """3, 2 and 4 actions."""
        return Discrete(N_ACTIONS["abc".index(agent)])

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        """A new episode."""
        self.rng = np.random.default_rng(seed)
        self.agents, self.steps, self.told = list(self.possible_agents), 0, []
        return self._seen(), self._infos()

    def step(self, actions: dict[str, int]) -> Any:
        """One step."""
        assert set(actions) == set(self.agents)
        infos = self._infos()
        for agent, action in actions.items():
            assert self.action_space(agent).contains(action)
            assert not self.has_masks or infos[agent]["action_mask"][action]
        self.told.append(dict(actions))
        self.steps += 1
        rewards = {agent: float(self.rng.normal()) + action for agent, action in actions.items()}
        gone = {"c": self.steps >= 3, "b": self.rng.random() > 0.9, "a": self.agents == ["a"] and actions["a"] == 1}
        here = list(self.agents)
        terminations = {agent: gone[agent] for agent in here}
        truncations = {agent: self.steps >= self.max_cycles and not gone[agent] for agent in here}
        seen, infos = self._seen(), self._infos()
        self.agents = [agent for agent in here if not (terminations[agent] or truncations[agent])]
        return seen, rewards, terminations, truncations, infos

    def _seen(self) -> dict[str, Any]:
        drawn = {agent: np.array([self.rng.random()], np.float32) for agent in self.agents}
        return {a: np.append(x, np.float32(self.steps)) if a == "c" else x for a, x in drawn.items()}

    def _infos(self) -> dict[str, Any]:
        if not self.has_masks:
            return {agent: {} for agent in self.agents}
        found = {}
        for agent in self.agents:
            mask = np.ones(N_ACTIONS["abc".index(agent)], np.int8)
            mask[-1] = self.steps % 2 == 0
            found[agent] = {"action_mask": mask}
        return found


class Team(gymnasium.Env):
    """Two agents of one Gymnasium task, as EPyMARL's gymma expects: Tuples of spaces, a list of rewards."""

    def __init__(self, n_actions: int = 3, max_episode_steps: int = 9):
        self.action_space = Tuple([Discrete(n_actions)] * 2)
        self.observation_space = Tuple([Dict({"kind": Discrete(2), "place": Box(-1.0, 1.0, (1,))})] * 2)
        self.max_episode_steps = max_episode_steps
        self.told: list[list[int]] = []
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        """A new episode."""
        super().reset(seed=seed)
        self.steps, self.told = 0, []
        return self._seen(), {"action_mask": self._masks()}

    def step(self, actions: Any) -> Any:
        """One step; two equal 2s end it."""
        self.told.append(list(actions))
        self.steps += 1
        is_done = self.told[-1] == [2, 2]
        is_late = self.steps >= self.max_episode_steps
        return self._seen(), [1.0 * actions[0], 10.0 * actions[1]], is_done, is_late, {"action_mask": self._masks()}

    def get_state(self) -> np.ndarray:
        """The clock."""
        return np.array([self.steps / self.max_episode_steps], np.float32)

    def _seen(self) -> Any:
        place = self.np_random.uniform(-1.0, 1.0, 2).astype(np.float32)
        return tuple({"kind": k, "place": place[k : k + 1]} for k in range(2))

    def _masks(self) -> list[np.ndarray]:
        return [np.ones(self.action_space[0].n, np.int8) for _ in range(2)]


def parallel_env(**kwargs: Any) -> Leavers:
    """As PettingZoo's modules name it."""
    return Leavers(**kwargs)


class Continuous(Leavers):
    """Its actions are not numbered."""

    def action_space(self, agent: str) -> Any:
        """A force."""
        return Box(-1.0, 1.0, (1,))


class Unforgetting(Leavers):
    """How often it was reset shows: its seed does not decide everything."""

    n_resets = 0

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        """A new episode."""
        self.n_resets += 1
        return super().reset(None if seed is None else seed + self.n_resets)


class Endless(Leavers):
    """It does not say when it ends."""

    def __init__(self) -> None:
        super().__init__()
        self.max_cycles = None  # type: ignore[assignment]

    def observation_space(self, agent: str) -> Any:
        """A number."""
        return Box(0.0, 1.0, (1,))


def not_parallel() -> object:
    """Something else."""
    return object()


gymnasium.register("Team-v0", entry_point="tests.async_envs.asynchronize.tasks:Team")


class Odd(ParallelEnv):
    """Two agents of three and two actions, five steps; each may only do action 0. `how` it is odd is an argument."""

    metadata: dict[str, Any] = {"name": "odd"}
    max_cycles = 5

    def __init__(self, how: str = "") -> None:
        self.how, self.possible_agents = how, ["a", "b"]
        self.agents: list[str] = []
        self.steps, self.told = 0, []  # type: ignore[var-annotated]
        if how == "has last":
            self.last = 1
        if how == "no agents":
            self.possible_agents = []

    def observation_space(self, agent: str) -> Any:
        """A number; for one `how` beside a mask and something else."""
        number = Box(0.0, 1.0, (1,))
        if self.how == "mask and more":
            return Dict({"observation": number, "action_mask": Box(0, 1, (3,), np.int8), "more": Discrete(2)})
        return number

    def action_space(self, agent: str) -> Discrete:
        """Three, and two."""
        return Discrete(3 if agent == "a" else 2)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        """A new episode."""
        if self.how == "fails in reset":
            raise KeyError("the door")
        self.agents, self.steps, self.told = list(self.possible_agents), 0, []
        return self._seen(), self._infos()

    def step(self, actions: dict[str, int]) -> Any:
        """One step."""
        self.told.append(dict(actions))
        self.steps += 1
        if self.how == "fails in step":
            raise KeyError("the door")
        if self.how == "exits":
            raise SystemExit(0)
        here, is_late = list(self.agents), self.steps == 5
        rewards = dict.fromkeys(here, np.array([1.0]) if self.how != "reward" else float("nan"))
        seen = self._seen()
        self.agents = [] if is_late else here
        return seen, rewards, dict.fromkeys(here, False), dict.fromkeys(here, is_late), self._infos()

    def state(self) -> np.ndarray:
        """A number for each agent; for one `how` it loses one, for another it fails after the first step."""
        if self.how == "state fails" and self.steps:
            raise TypeError("the map is lost")
        return np.zeros(1 if self.how == "state" and self.steps else 2, np.float32)

    def __getattr__(self, name: str) -> Any:
        if name == "get_avail_actions" and self.__dict__.get("how") == "avail":
            return lambda: [[1, 0, 0], [1, 0]]
        raise AttributeError(name)

    def _seen(self) -> dict[str, Any]:
        width = 3 if self.how == "wide" and self.steps else 1
        seen: dict[str, Any] = {agent: np.full(width, 0.5, np.float32) for agent in self.agents}
        if self.how == "mask and more":
            mask = np.array([1, 0, 0], np.int8)
            return {a: {"observation": x, "action_mask": mask, "more": 1} for a, x in seen.items()}
        if self.how == "unseen" and self.steps:
            del seen["b"]
        return seen

    def _infos(self) -> dict[str, Any]:
        if self.how in ("avail", "mask and more"):
            return {agent: {} for agent in self.agents}
        return {agent: {"action_mask": [1] if self.how == "short mask" else [1, 0, 0]} for agent in self.agents}


class OddTeam(gymnasium.Env):
    """Two agents who end one by one: the first is terminated in step 2, the second truncated in step 4."""

    def __init__(self) -> None:
        self.action_space = Tuple([Discrete(2)] * 2)
        part = Dict({"observation": Box(0.0, 1.0, (1,)), "action_mask": Box(0, 1, (2,), np.int8)})
        self.observation_space = Tuple([part] * 2)
        self.max_episode_steps, self.steps = 20, 0
        self.told: list[list[int]] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        """A new episode."""
        self.steps, self.told = 0, []
        return self._seen(), {}

    def step(self, actions: Any) -> Any:
        """One step."""
        self.told.append(list(actions))
        self.steps += 1
        return self._seen(), [1.0, 1.0], [self.steps >= 2, False], [False, self.steps >= 4], {}

    def _seen(self) -> Any:
        mask = np.array([1, 0], np.int8)
        return tuple({"observation": np.zeros(1, np.float32), "action_mask": mask} for _ in range(2))


class OddAgent(gymnasium.Env):
    """One agent, whose available actions are a flat list."""

    def __init__(self) -> None:
        self.action_space, self.observation_space = Discrete(3), Dict(x=Box(0.0, 100.0, (1,)), y=Box(-50.0, 0.0, (1,)))
        self.max_steps = 4

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        """A new episode."""
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        """One step."""
        return self._seen(), 0.0, False, False, {}

    def get_avail_actions(self) -> list[int]:
        """All but the first."""
        return [0, 1, 1]

    def _seen(self) -> Any:
        return {"x": np.array([75.0], np.float32), "y": np.array([-50.0], np.float32)}


gymnasium.register("OddTeam-v0", entry_point="tests.async_envs.asynchronize.tasks:OddTeam")
gymnasium.register("OddAgent-v0", entry_point="tests.async_envs.asynchronize.tasks:OddAgent")
