"""The smallest task that shows what asynchrony costs: two carriers have to lift together. A plain PettingZoo task.

A corridor of `length` cells; both start in cell 0, the crate is at the other end. A carrier that lifts alone at the
crate strains (-0.1). Lifted by both in the same step, the crate is delivered (+1) and the episode ends.
"""

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary
from pettingzoo import ParallelEnv

__all__ = ["Carriers", "parallel_env"]

STAY, BACK, AHEAD, LIFT = range(4)
STEP_COST, STRAIN, DELIVERED = 0.01, 0.1, 1.0


class Carriers(ParallelEnv):
    """Two agents, actions stay, back, ahead, lift; each sees both places.

    Args:
        length: cells of the corridor, at least 2.
        max_cycles: steps after which an episode is truncated.
    """

    metadata = {"name": "carriers", "render_modes": ["ansi"]}

    def __init__(self, length: int = 4, max_cycles: int = 20, render_mode: str | None = None):
        self.length, self.max_cycles, self.render_mode = length, max_cycles, render_mode
        self.possible_agents = ["left", "right"]
        self.agents: list[str] = []
        self._places = np.zeros(2, np.int64)
        self._steps = 0

    def observation_space(self, agent: str) -> Dict:
        """Own place and the other's, 0 … 1, and which actions are possible."""
        return Dict({"observation": Box(0.0, 1.0, (2,), np.float32), "action_mask": MultiBinary(4)})

    def action_space(self, agent: str) -> Discrete:
        """stay, back, ahead, lift."""
        return Discrete(4)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Both at the start; nothing is random."""
        self.agents, self._steps = list(self.possible_agents), 0
        self._places[:] = 0
        return self._seen(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, int]) -> tuple[dict[str, Any], ...]:
        """One step of both."""
        told = np.array([actions[agent] for agent in self.agents])
        self._places += (told == AHEAD).astype(int) - (told == BACK).astype(int)
        self._steps += 1
        n_lifting = int((told == LIFT).sum())
        is_delivered, is_late = n_lifting == 2, self._steps >= self.max_cycles
        reward = DELIVERED / 2 if is_delivered else -STRAIN * n_lifting / 2 - STEP_COST
        agents, seen = list(self.agents), self._seen()
        if is_delivered or is_late:
            self.agents = []
        return (
            seen, dict.fromkeys(agents, reward), dict.fromkeys(agents, is_delivered),
            dict.fromkeys(agents, is_late and not is_delivered), {agent: {} for agent in agents},
        )  # fmt: skip

    def state(self) -> np.ndarray:
        """Both places and the time, 0 … 1."""
        return np.array([*self._places / (self.length - 1), self._steps / self.max_cycles], np.float32)

    def render(self) -> str:
        """The corridor: L and R, B where both stand, # the crate."""
        cells = ["." for _ in range(self.length)] + ["#"]
        for place, sign in zip(self._places, "LR"):
            cells[place] = sign if cells[place] == "." else "B"
        return "".join(cells)

    def _seen(self) -> dict[str, Any]:
        found = {}
        for k, agent in enumerate(self.agents):
            own, other = self._places[k], self._places[1 - k]
            mask = np.array([True, own > 0, own < self.length - 1, own == self.length - 1], np.int8)
            places = np.array([own, other], np.float32) / np.float32(self.length - 1)
            found[agent] = {"observation": places, "action_mask": mask}
        return found


def parallel_env(**kwargs: Any) -> Carriers:
    """The task, under the name that PettingZoo's modules have."""
    return Carriers(**kwargs)
