"""A simulator as a Gymnasium environment of several agents, in the shape that EPyMARL's `gymma` takes."""

from typing import Any, Sequence

import gymnasium
import numpy as np
from gymnasium import spaces

from async_envs.core.simulator import Simulator
from async_envs.core.single import SingleEpisode, observation_box

__all__ = ["GymnasiumView"]


class GymnasiumView(gymnasium.Env[tuple[np.ndarray, ...], Any]):
    """One episode of a simulator; observations and actions are tuples with an entry an agent.

        view = GymnasiumView(simulator)
        obs, info = view.reset(seed=1)
        obs, reward, terminated, truncated, info = view.step(view.action_space.sample(view.action_masks()))

    Observation: a tuple of N arrays [O] float32. Action: N indices into `simulator.action_names`; executing
    agents take 1 (`continue`), inactive ones 0 (`noop`). Reward: the team's, a float. Info holds numbers only
    (EPyMARL sums them): at the end the family's metrics, and `episode_limit` if the step limit ended it.
    `gymma` offers its agents every action, so there use invalid_actions="replace".

    Args:
        simulator: of batch size 1.
        invalid_actions: "raise", or "replace": an action that is not available becomes the lowest available
            one, and `info["invalid_actions"]` counts them.
        render_mode: None, or one of `simulator.render_modes`.

    Raises:
        ValueError: another batch size, an unknown `invalid_actions` or `render_mode`; one line.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, simulator: Simulator, invalid_actions: str = "raise", render_mode: str | None = None):
        self._episode = SingleEpisode(simulator, invalid_actions, render_mode)
        self.simulator = simulator
        self.n_agents = simulator.n_agents
        self.render_mode = render_mode
        self.metadata = self._episode.metadata()
        self.observation_space = spaces.Tuple([observation_box(simulator) for _ in range(self.n_agents)])
        self.action_space = spaces.Tuple([spaces.Discrete(simulator.n_actions) for _ in range(self.n_agents)])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
        """Start an episode; without a seed, the next one after the last seed. `options` are not used.

        Raises:
            ValueError: the seed is no whole number in [0, 2**64).
        """
        self._episode.reset(seed)
        super().reset(seed=seed)
        return self._obs(), self._episode.replaced_info(0)

    def step(
        self, action: Sequence[int]
    ) -> tuple[tuple[np.ndarray, ...], float, bool, bool, dict[str, Any]]:
        """One step with an action an agent.

        Raises:
            TypeError: an action is no whole number.
            ValueError: wrong number of actions, one that is not available (unless replaced), before reset, or
                after the end. Nothing has moved.
        """
        if len(action) != self.n_agents:
            raise ValueError(
                f"{self.simulator.key}: {len(action)} actions were given for {self.n_agents} agents. "
                "Pass one action index an agent."
            )
        legal = [self._episode.legal(i, chosen) for i, chosen in enumerate(action)]
        reward = self._episode.step(legal)
        info = self._episode.replaced_info(self._episode.n_replaced.sum()) | self._episode.final_info()
        return self._obs(), reward, self._episode.terminated, self._episode.truncated, info

    def action_masks(self) -> tuple[np.ndarray, ...]:
        """N arrays [A] int8, 1 where the action may be chosen now; `action_space.sample` takes them."""
        return tuple(self._episode.mask(i) for i in range(self.n_agents))

    def state(self) -> np.ndarray:
        """[S] float32, the full state, for training only."""
        return self._episode.state()

    def render(self) -> Any:
        """A picture in `render_mode`; ValueError without one."""
        return self._episode.render()

    def close(self) -> None:
        """Close the simulator."""
        self.simulator.close()

    def _obs(self) -> tuple[np.ndarray, ...]:
        return tuple(self._episode.obs(i) for i in range(self.n_agents))
