"""A simulator as a PettingZoo environment: all agents at once, or only those that decide, one by one."""

from typing import Any, Mapping

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv, ParallelEnv

from async_envs.core.errors import unknown_name
from async_envs.core.simulator import ALL_OVER, Simulator
from async_envs.core.single import SingleEpisode, observation_box
from async_envs.core.status import statuses

__all__ = ["AECView", "ParallelView"]

Observation = dict[str, np.ndarray]


class _PettingZooView:
    """Spaces, observations and pictures of both views.

    An observation is {"observation": [O] float32, "action_mask": [A] int8}; the mask is also in the agent's
    info, with the family's metrics at the end of the episode.

    Args:
        simulator: of batch size 1.
        invalid_actions: "raise", or "replace": an action that is not available becomes the lowest available
            one, and `info["invalid_actions"]` is 1 for the agent.
        render_mode: None, or one of `simulator.render_modes`.

    Raises:
        ValueError: another batch size, an unknown `invalid_actions` or `render_mode`; one line.
    """

    metadata: dict[str, Any]

    def __init__(self, simulator: Simulator, invalid_actions: str = "raise", render_mode: str | None = None):
        self._episode = SingleEpisode(simulator, invalid_actions, render_mode)
        self.simulator = simulator
        self.render_mode = render_mode
        self.metadata = self._episode.metadata()
        self.possible_agents = [f"agent_{i}" for i in range(simulator.n_agents)]
        self.agents: list[str] = []
        self._index = {name: i for i, name in enumerate(self.possible_agents)}
        self.observation_spaces = {name: self._observation_space() for name in self.possible_agents}
        self.action_spaces = {name: spaces.Discrete(simulator.n_actions) for name in self.possible_agents}

    def observation_space(self, agent: str) -> spaces.Dict:
        """The same object at every call."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Discrete:
        """The same object at every call."""
        return self.action_spaces[agent]

    def observe(self, agent: str) -> Observation:
        """What the agent sees now, and what it may do."""
        i = self._index[agent]
        return {"observation": self._episode.obs(i), "action_mask": self._episode.mask(i)}

    def state(self) -> np.ndarray:
        """[S] float32, the full state, for training only."""
        return self._episode.state()

    def render(self) -> Any:
        """A picture in `render_mode`; ValueError without one."""
        return self._episode.render()

    def close(self) -> None:
        """Close the simulator."""
        self.simulator.close()

    def _observation_space(self) -> spaces.Dict:
        mask = spaces.Box(0, 1, (self.simulator.n_actions,), np.int8)
        return spaces.Dict({"observation": observation_box(self.simulator), "action_mask": mask})

    def _info(self, agent: str) -> dict[str, Any]:
        i = self._index[agent]
        replaced = self._episode.replaced_info(self._episode.n_replaced[i])
        return {"action_mask": self._episode.mask(i), **replaced, **self._episode.final_info()}

    def _only_actions(self) -> list[int]:
        return [self._episode.only_action(i) for i in range(self.simulator.n_agents)]


class ParallelView(_PettingZooView, ParallelEnv[str, Observation, int]):
    """All agents act in every step: executing ones with 1 (`continue`), inactive ones with 0 (`noop`).

    Every agent gets the team's reward, and all leave together when the episode ends. Observations, infos and
    arguments: as said of `_PettingZooView`.
    """

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Start an episode; without a seed, the next one after the last seed. `options` are not used."""
        self._episode.reset(seed)
        self.agents = list(self.possible_agents)
        return self._of_each(self.observe), self._of_each(self._info)

    def step(self, actions: Mapping[str, int]) -> tuple[
        dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """One step. Agents with one available action (who execute, or are inactive) may be left out.

        Raises:
            TypeError: an action is no whole number.
            ValueError: an unknown agent, a deciding one left out, an action that is not available (unless
                replaced), before reset, or after the end. Nothing has moved.
        """
        reward = self._episode.step(self._legal(actions))
        terminated, truncated = self._episode.terminated, self._episode.truncated
        result = (
            self._of_each(self.observe),
            {name: reward for name in self.agents},
            {name: terminated for name in self.agents},
            {name: truncated for name in self.agents},
            self._of_each(self._info),
        )
        if terminated or truncated:
            self.agents = []
        return result

    def _legal(self, actions: Mapping[str, int]) -> list[int]:
        self._episode.check_started()
        if not self.agents:
            raise ValueError(ALL_OVER.format(key=self.simulator.key))
        for name in actions:
            if name not in self._index:
                raise ValueError(unknown_name(self.simulator.key, "agent", name, self.agents))
        chosen = self._only_actions()
        for name, i in self._index.items():
            if name in actions:
                chosen[i] = self._episode.legal(i, actions[name])
            elif self.simulator.avail_actions[0, i].sum() > 1:
                raise ValueError(
                    f"{self.simulator.key}: no action was given for {name}, which has to decide. "
                    "Pass one for every deciding agent."
                )
        return chosen

    def _of_each(self, give: Any) -> dict[str, Any]:
        return {name: give(name) for name in self.agents}


class AECView(_PettingZooView, AECEnv[str, Observation, int]):
    """Only deciding agents get a turn, in the order of their numbers; the others carry on by themselves.

    When every deciding agent of a step has had its turn, the simulator steps until somebody decides again or
    the episode ends. `last` gives an agent all of the team's reward since its last turn; at the end, every
    agent gets a turn to take what is left (action None, as PettingZoo has it). Observations, infos and
    arguments: as said of `_PettingZooView`.
    """

    agent_selection: str
    infos: dict[str, dict[str, Any]]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start an episode; without a seed, the next one after the last seed. `options` are not used."""
        self._episode.reset(seed)
        self.agents = list(self.possible_agents)
        self.rewards = {name: 0.0 for name in self.agents}
        self._cumulative_rewards = {name: 0.0 for name in self.agents}
        self.terminations = {name: False for name in self.agents}
        self.truncations = {name: False for name in self.agents}
        self._skip_agent_selection: str | None = None
        self._chosen = self._only_actions()
        self._play_until_somebody_decides()
        self._accumulate_rewards()

    def step(self, action: int | None) -> None:
        """The turn of `agent_selection`.

        Raises:
            TypeError: the action is no whole number.
            ValueError: not available (unless replaced), not None after the end, before reset, or when every
                agent has left. Nothing has moved.
        """
        self._episode.check_started()
        if not self.agents:
            raise ValueError(ALL_OVER.format(key=self.simulator.key))
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        i = self._index[agent]
        self._chosen[i] = self._episode.legal(i, action)
        self._cumulative_rewards[agent] = 0.0
        self._clear_rewards()
        self.infos[agent] = self._info(agent)
        self._waiting.remove(agent)
        if self._waiting:
            self.agent_selection = self._waiting[0]
        else:
            self._step_simulator()
            self._play_until_somebody_decides()
        self._accumulate_rewards()

    def _play_until_somebody_decides(self) -> None:
        while not (self._episode.terminated or self._episode.truncated):
            deciding = statuses(self.simulator.avail_actions[0]).deciding
            self._waiting = [name for name, i in self._index.items() if deciding[i]]
            if self._waiting:
                break
            self._step_simulator()
        else:
            self._waiting = list(self.agents)
            self.terminations = {name: self._episode.terminated for name in self.agents}
            self.truncations = {name: self._episode.truncated for name in self.agents}
        self.agent_selection = self._waiting[0]
        self.infos = {name: self._info(name) for name in self.agents}

    def _step_simulator(self) -> None:
        """One step: what the deciding agents chose, `continue` or `noop` for the others."""
        reward = self._episode.step(self._chosen)
        self._chosen = self._only_actions()
        for name in self.agents:
            self.rewards[name] += reward
