"""SMAC and SMAClite behind one small interface, without the asynchrony. They are imported when one is asked for."""

from importlib import import_module
from typing import Any, Mapping, NamedTuple, Protocol, Sequence

import numpy as np

NOT_INSTALLED = (
    "{key}: backend={backend!r} needs the package {package}, which cannot be imported ({error}). Install it "
    "({how}), or leave out backend: native needs nothing."
)
NO_GAME = (
    "{key}: StarCraft II cannot be started ({error}). Install the game (SMAC's install_sc2.sh) and set SC2PATH to its "
    "folder, or leave out backend: native needs nothing."
)
NO_MAP = "{key}: SMAClite has no map {variant!r} ({error}). Leave out backend: native has it."
STANDIN = "MISSING"  # what a module holds that stands in for a missing one, so that a host can import it
HOW = {
    "smac": "pip install git+https://github.com/oxwhirl/smac.git, and the game",
    "smaclite": "pip install git+https://github.com/uoe-agents/smaclite.git",
}


class Outcome(NamedTuple):
    """What a step of a backend brought."""

    reward: float
    is_over: bool  # by the battle or by the backend's own limit
    is_late: bool  # by the limit
    is_won: bool


class Backend(Protocol):
    """One battle of SMAC, with SMAC's own numbers; every agent's action is its unit's order."""

    n_agents: int
    n_actions: int
    obs_dim: int
    state_dim: int
    unit_names: Sequence[str]  # the type of each agent, in its own order
    own_limit: int | None  # steps after which it ends a battle itself

    def reset(self, seed: int) -> None:
        """Begin a battle."""

    def step(self, actions: Sequence[int]) -> Outcome:
        """One step with an action for each agent."""

    def available(self) -> Sequence[Sequence[float]]:
        """[N, A]: what each agent may do; of the dead only index 0."""

    def obs(self) -> Sequence[np.ndarray]:
        """N arrays [O]."""

    def state(self) -> np.ndarray:
        """[S]."""

    def n_dead(self) -> tuple[int, int]:
        """Agents and enemies that have fallen."""

    def close(self) -> None:
        """Let go of what it holds."""


class StarCraft:
    """SMAC's StarCraft2Env, or whatever has its methods.

    The game takes its seed when it starts, so the first battle's seed is that of all: they are not repeated one by
    one. A crash of the game ends the battle without a win, as SMAC itself has it.
    """

    def __init__(self, key: str, make_env: Any, settings: Mapping[str, Any], unit_names: Sequence[str]):
        self.key, self.unit_names = key, unit_names  # it knows no types before the game runs; the order is the map's
        self._make_env, self._settings = make_env, dict(settings)
        self._is_started = False
        self.env = make_env(**self._settings)
        sizes = self.env.get_env_info()
        self.n_agents, self.n_actions = int(sizes["n_agents"]), int(sizes["n_actions"])
        self.obs_dim, self.state_dim = int(sizes["obs_shape"]), int(sizes["state_shape"])
        self.own_limit: int | None = int(sizes["episode_limit"])

    def reset(self, seed: int) -> None:
        """Begin a battle; the first one starts the game.

        Raises:
            ValueError: the game cannot be started; one line.
        """
        if self._is_started:
            self.env.reset()
            return
        self.env = self._make_env(seed=seed % 2**31, **self._settings)
        try:
            self.env.reset()
        except Exception as error:  # of many kinds, from the game's own starter
            raise ValueError(NO_GAME.format(key=self.key, error=_short(error))) from error
        self._is_started = True

    def step(self, actions: Sequence[int]) -> Outcome:
        """One step."""
        n_late = self.env.timeouts
        reward, is_over, info = self.env.step([int(action) for action in actions])
        return Outcome(float(reward), bool(is_over), self.env.timeouts > n_late, bool(info.get("battle_won", False)))

    def available(self) -> Sequence[Sequence[float]]:
        """SMAC's own masks."""
        return self.env.get_avail_actions()

    def obs(self) -> Sequence[np.ndarray]:
        """SMAC's own observations."""
        return self.env.get_obs()

    def state(self) -> np.ndarray:
        """SMAC's own state."""
        return self.env.get_state()

    def n_dead(self) -> tuple[int, int]:
        """As SMAC counts them."""
        return int(np.sum(self.env.death_tracker_ally)), int(np.sum(self.env.death_tracker_enemy))

    def close(self) -> None:
        """End the game."""
        self.env.close()


class Lite:
    """SMAClite's environment, or whatever has its methods. It has no limit, and an order of agents, of its own."""

    def __init__(self, env: Any):
        self.env = env.unwrapped
        self.n_agents, self.n_actions = int(self.env.n_agents), int(self.env.n_actions)
        self.obs_dim, self.state_dim = int(self.env.obs_size), int(self.env.state_size)
        self.n_enemies = int(self.env.n_enemies)
        self.own_limit: int | None = None
        groups = [group.units for group in self.env.map_info.groups if group.faction.value == "ALLY"]
        self.unit_names: Sequence[str] = [unit.stats.name for units in groups for unit, n in units for _ in range(n)]
        self._obs: Sequence[np.ndarray] = ()

    def reset(self, seed: int) -> None:
        """Begin a battle."""
        self._obs, _ = self.env.reset(seed=seed % 2**31)

    def step(self, actions: Sequence[int]) -> Outcome:
        """One step; both sides falling at once is no win here, as in SMAC."""
        self._obs, reward, is_over, _, _ = self.env.step([int(action) for action in actions])
        n_allies, n_enemies = self.n_dead()
        is_won = n_enemies == self.n_enemies and n_allies < self.n_agents
        return Outcome(float(reward), bool(is_over), False, is_won)

    def available(self) -> Sequence[Sequence[float]]:
        """SMAClite's own masks."""
        return self.env.get_avail_actions()

    def obs(self) -> Sequence[np.ndarray]:
        """SMAClite's own observations."""
        return self._obs

    def state(self) -> np.ndarray:
        """SMAClite's own state."""
        return self.env.get_state()

    def n_dead(self) -> tuple[int, int]:
        """Counted from the units that are left."""
        return self.n_agents - len(self.env.agents), self.n_enemies - len(self.env.enemies)

    def close(self) -> None:
        """Close its window, if any."""
        self.env.close()


def make_backend(
    key: str, variant: str, backend: str, settings: Mapping[str, Any], unit_names: Sequence[str]
) -> Backend:
    """SMAC or SMAClite on a map.

    Args:
        key: the task's name, for error lines.
        variant: the map.
        backend: "sc2" or "smaclite".
        settings: for SMAC's constructor, beside map and seed.
        unit_names: the type of each agent in SMAC's order, for SMAC; SMAClite tells its own.

    Raises:
        ValueError: the package is missing or has no such map; one line.
    """
    if backend == "sc2":
        make_env = _load(key, backend, "smac", "smac.env").StarCraft2Env
        return StarCraft(key, make_env, {"map_name": variant, **settings}, unit_names)
    _load(key, backend, "smaclite", "smaclite")
    gymnasium = import_module("gymnasium")
    try:
        return Lite(gymnasium.make(f"smaclite/{variant}-v0"))
    except gymnasium.error.Error as error:
        raise ValueError(NO_MAP.format(key=key, variant=variant, error=_short(error))) from error


def _load(key: str, backend: str, package: str, module: str) -> Any:
    try:
        found = import_module(module)
        if hasattr(found, STANDIN):
            raise ImportError("only a stand-in is there")
        return found
    except ImportError as error:
        line = NOT_INSTALLED.format(
            key=key, backend=backend, package=package, error=_short(error), how=HOW[package]
        )
        raise ValueError(line) from error


def _short(error: Exception) -> str:
    """An error in one line."""
    return " ".join(str(error).split()) or type(error).__name__
