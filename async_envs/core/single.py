"""One episode at a time over a simulator: what all views share."""

import operator
from typing import Any, Iterable

import numpy as np
from gymnasium import spaces

from async_envs.core.errors import unknown_name
from async_envs.core.seeding import TRAIN, episode_seed
from async_envs.core.simulator import NOT_RESET, OBS_LIMIT, Simulator

__all__ = ["INVALID_ACTIONS", "SingleEpisode", "observation_box"]

INVALID_ACTIONS = ("raise", "replace")


class SingleEpisode:
    """A simulator of batch size 1, its seeds, and the check of single actions.

    Attributes:
        simulator: the `Simulator`; its arrays hold one row.
        n_replaced: [N] int, 1 where the last action of the agent was not available and was replaced.
    """

    def __init__(self, simulator: Simulator, invalid_actions: str, render_mode: str | None):
        key = simulator.key
        if simulator.batch_size != 1:
            raise ValueError(
                f"{key}: a view shows one episode, batch_size={simulator.batch_size} is not accepted. "
                "Use batch_size=1."
            )
        if invalid_actions not in INVALID_ACTIONS:
            raise ValueError(unknown_name(key, "value of invalid_actions", invalid_actions, INVALID_ACTIONS))
        if render_mode is not None and render_mode not in simulator.render_modes:
            raise ValueError(unknown_name(key, "render_mode", render_mode, simulator.render_modes))
        self.simulator = simulator
        self.n_replaced = np.zeros(simulator.n_agents, np.int64)
        self._is_replacing = invalid_actions == "replace"
        self._render_mode = render_mode
        self._actions = np.zeros((1, simulator.n_agents), np.int64)
        self._base: int | None = None  # what the episodes without a seed of their own are numbered from
        self._n_episodes = 0
        self._is_started = False

    def reset(self, seed: int | None) -> None:
        """Start an episode: of `seed`, or the next one after the last seed (drawn if there was none)."""
        if seed is not None:
            self.simulator.reset([seed])
            self._base, self._n_episodes = seed, 1
        else:
            if self._base is None:
                self._base = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
            self.simulator.reset([episode_seed(self._base, TRAIN, self._n_episodes)])
            self._n_episodes += 1
        self.n_replaced[:] = 0
        self._is_started = True

    def legal(self, agent: int, action: Any) -> int:
        """`action` if the agent may choose it now, else its lowest available one, or the error.

        Raises:
            TypeError: no whole number.
            ValueError: before reset; or not available, and the view does not replace.
        """
        self.check_started()
        try:
            index = operator.index(action)
        except TypeError as error:
            raise TypeError(
                f"{self.simulator.key}: agent {agent}: action {action!r} is a {type(action).__name__}, "
                "expected a whole number. Pass an index into action_names."
            ) from error
        available = self.simulator.avail_actions[0, agent]
        is_available = 0 <= index < available.shape[0] and available[index] == 1
        self.n_replaced[agent] = 0 if is_available else 1
        if is_available:
            return index
        if not self._is_replacing:
            raise ValueError(self.simulator.illegal_action(0, agent, index))
        return self.only_action(agent)

    def only_action(self, agent: int) -> int:
        """The lowest available action: `noop` or `continue` where there is no choice."""
        return int(self.simulator.avail_actions[0, agent].argmax())

    def step(self, actions: Iterable[int]) -> float:
        """One step with an action an agent, each from `legal`; the team's reward."""
        self._actions[0] = tuple(actions)
        self.simulator.step(self._actions)
        return float(self.simulator.reward[0])

    def check_started(self) -> None:
        """Raises ValueError before the first reset."""
        if not self._is_started:
            raise ValueError(NOT_RESET.format(key=self.simulator.key))

    @property
    def terminated(self) -> bool:
        """Ended by the task."""
        return bool(self.simulator.terminated[0])

    @property
    def truncated(self) -> bool:
        """Ended by the step limit."""
        return bool(self.simulator.truncated[0])

    def obs(self, agent: int) -> np.ndarray:
        """[O] float32, a copy."""
        return np.array(self.simulator.obs[0, agent])

    def mask(self, agent: int) -> np.ndarray:
        """[A] int8, 1 where the action may be chosen now; a copy, as `Discrete.sample` takes it."""
        return np.array(self.simulator.avail_actions[0, agent], np.int8)

    def state(self) -> np.ndarray:
        """[S] float32, a copy."""
        return np.array(self.simulator.state[0])

    def final_info(self) -> dict[str, Any]:
        """The family's metrics and, if the step limit ended it, `episode_limit`; {} before the end."""
        if not (self.terminated or self.truncated):
            return {}
        info: dict[str, Any] = {name: float(values[0]) for name, values in self.simulator.metrics.items()}
        if self.truncated:
            info["episode_limit"] = True
        return info

    def replaced_info(self, n_replaced: int) -> dict[str, Any]:
        """How many actions of the step were replaced; {} in a view that raises."""
        return {"invalid_actions": int(n_replaced)} if self._is_replacing else {}

    def render(self) -> Any:
        """A picture in the view's render_mode.

        Raises:
            ValueError: the view was made without one, or before reset.
        """
        if self._render_mode is None:
            modes = ", ".join(self.simulator.render_modes) or "none"
            raise ValueError(
                f"{self.simulator.key}: the view was made with render_mode=None and draws nothing. "
                f"Pass one of its render modes ({modes})."
            )
        self.check_started()
        return self.simulator.render(0, self._render_mode)

    def metadata(self) -> dict[str, Any]:
        """Name and render modes, as Gymnasium and PettingZoo expect them."""
        return {
            "name": self.simulator.key.replace(":", "_").replace("-", "_"),
            "render_modes": list(self.simulator.render_modes),
            "render_fps": 4,
            "is_parallelizable": True,
        }


def observation_box(simulator: Simulator) -> spaces.Box:
    """The space of one agent's observation."""
    return spaces.Box(-OBS_LIMIT, OBS_LIMIT, (simulator.obs_dim,), np.float32)
