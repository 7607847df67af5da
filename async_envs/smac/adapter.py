"""The asynchronous layer over a battle that is played elsewhere: SMAC or SMAClite, one at a time."""

from typing import Any, Mapping

import numpy as np

from async_envs.core.simulator import Simulator
from async_envs.smac.asynchrony import action_names, execute_batch, forget_batch, make_durations, pass_step_batch
from async_envs.smac.backends import Backend, make_backend
from async_envs.smac.constants import ATTACK, METRIC_NAMES, NO_ACTION
from async_envs.smac.maps import Map
from async_envs.smac.types import make_clocks

ONE_BATTLE = "{key}: backend={backend!r} plays one battle at a time, batch_size={given} is not accepted. Use 1."
NATIVE_ONLY = "{key}: {name}={given!r} is an option of the native engine, backend={backend!r} has none. Leave it out."
TOO_LONG = (
    "{key}: episode_limit={given} is above {own}, where backend={backend!r} ends a battle itself. Use at most {own}, "
    "or leave out backend."
)

LAYER_OPTIONS = ("backend", "durations", "on_block", "smac_compat", "continuing_episode", "episode_limit")
SMAC_OPTIONS = (
    "difficulty", "reward_sparse", "reward_only_positive", "reward_death_value", "reward_win", "reward_defeat",
    "reward_negative_scale", "reward_scale", "reward_scale_rate", "obs_all_health", "obs_own_health",
    "obs_last_action", "obs_pathing_grid", "obs_terrain_height", "obs_timestep_number", "obs_instead_of_state",
    "state_last_action", "state_timestep_number",
)  # fmt: skip


class AdapterSimulator(Simulator):
    """One battle of a backend as a batch of one, with durations; `mode` is hold and last actions are executed ones.

    Observations, state and rewards are the backend's. A battle that its limit ends is truncated, with
    `smac_compat` terminated, as on the native engine.
    """

    _counts_decisions = False  # with smac_compat, actions do not tell who decides

    def __init__(
        self, key: str, backend: Backend, durations: np.ndarray, options: Mapping[str, Any], episode_limit: int
    ):
        self.backend = backend
        self._is_compatible = bool(options["smac_compat"])
        self._ends_at_limit = self._is_compatible and not options["continuing_episode"]
        self._is_cancelling = options["on_block"] == "cancel"
        super().__init__(
            key=key,
            batch_size=1,
            n_agents=backend.n_agents,
            episode_limit=episode_limit,
            action_names=action_names(backend.n_actions - ATTACK, self._is_compatible),
            obs_names=[f"obs_{k}" for k in range(backend.obs_dim)],
            state_names=[f"state_{k}" for k in range(backend.state_dim)],
            metric_names=METRIC_NAMES,
        )
        self.clocks = make_clocks(1, durations, backend.n_actions)
        self._alive = np.ones((1, backend.n_agents), np.int32)

    def _reset(self, seeds: np.ndarray, where: np.ndarray) -> None:
        if where[0]:
            self.backend.reset(int(seeds[0]))
            self._look()
            forget_batch(self._alive, self.avail_actions, self._is_compatible, *self.clocks)

    def _step(self, actions: np.ndarray) -> None:
        self.decisions[0] += int(self.get_decision_mask().sum())
        execute_batch(actions, self._is_compatible, self._is_cancelling, False, *self.clocks)
        outcome = self.backend.step(self.clocks.executed[0].tolist())
        self.t[0] += 1
        self._look()
        self.reward[0] = outcome.reward
        is_late = outcome.is_late or (not outcome.is_over and self.t[0] >= self.episode_limit)
        self.terminated[0] = (outcome.is_over and not is_late) or (is_late and self._ends_at_limit)
        self.truncated[0] = is_late and not self._ends_at_limit
        pass_step_batch(self._alive, self.terminated, self.avail_actions, self._is_compatible, *self.clocks)
        if self.terminated[0] or self.truncated[0]:
            for name, value in zip(METRIC_NAMES, (outcome.is_won, *self.backend.n_dead())):
                self.metrics[name][0] = value

    def _look(self) -> None:
        """Writes: obs, state, clocks.physical and who lives."""
        self.obs[0] = self.backend.obs()
        self.state[0] = self.backend.state()
        self.clocks.physical[0] = self.backend.available()
        self._alive[0] = self.clocks.physical[0, :, NO_ACTION] == 0
        self.clocks.physical[0, :, NO_ACTION] = 0

    def get_busy(self) -> np.ndarray:
        """[1, N] int32: steps that each agent still owes of its move; a copy."""
        return self.clocks.left.copy()

    def get_decision_mask(self) -> np.ndarray:
        """[1, N] bool: who is alive and free to decide."""
        return (self._alive == 1) & (self.clocks.left == 0)

    def close(self) -> None:
        """Let go of the backend."""
        self.backend.close()

    def _while_doing(self, episode: int, agent: int) -> str:
        left = int(self.clocks.left[episode, agent])
        if left == 0:
            return ""
        name = action_names(self.backend.n_actions - ATTACK, True)[self.clocks.move[episode, agent]]
        return f"while executing {name!r} ({left} step{'s' if left > 1 else ''} left)"


def make_adapter(
    key: str,
    variant: str,
    batch_size: int,
    chosen: Mapping[str, Any],
    defaults: Mapping[str, Any],
    field: Map,
) -> AdapterSimulator:
    """The simulator of a map on another backend.

    Raises:
        ValueError: more than one battle, an option that only the native engine has, a step limit above the
            backend's own, a missing package; one line.
    """
    name = chosen["backend"]
    if batch_size != 1:
        raise ValueError(ONE_BATTLE.format(key=key, backend=name, given=batch_size))
    accepted = LAYER_OPTIONS + (SMAC_OPTIONS if name == "sc2" else ())
    for option, value in chosen.items():
        if value != defaults[option] and option not in accepted:
            raise ValueError(NATIVE_ONLY.format(key=key, name=option, given=value, backend=name))
    settings = {option: chosen[option] for option in SMAC_OPTIONS if chosen[option] != defaults[option]}
    backend = make_backend(key, variant, name, settings, field.agent_names)
    limit = chosen["episode_limit"] or backend.own_limit or field.episode_limit
    if backend.own_limit is not None and limit > backend.own_limit:
        raise ValueError(TOO_LONG.format(key=key, given=limit, backend=name, own=backend.own_limit))
    durations = make_durations(chosen["durations"], backend.unit_names)
    return AdapterSimulator(key, backend, durations, chosen, limit)
