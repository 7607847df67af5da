"""One greedy episode with every step explained.

Letters: T steps that the learner mixes (all that were played, unless it leaves some out), N agents, M slots.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from async_envs.core.simulator import CONTINUE, NOOP, Simulator
from plugins.learners.draws import Draws
from plugins.mixers.explanation import Explanation
from plugins.vsp.verify.recording import Recording, follow, record
from plugins.vsp.verify.subject import batch_for, double_copy

__all__ = ["DECIDING", "EXECUTING", "INACTIVE", "Course", "play", "to_list"]

DECIDING, EXECUTING, INACTIVE = "deciding", "executing", "inactive"
NOTHING_TO_MIX = "{where}: the learner mixes no step of this episode, expected at least one. Explain another episode."


@dataclass(frozen=True)
class Course:
    """An episode and its explanation; arrays over the T mixed steps unless said otherwise."""

    recording: Recording  # B = 1, with the last observation
    steps: np.ndarray  # [T] int64; step of the episode
    explanation: Explanation  # [T, ...] float64
    target: np.ndarray  # [T]; what the learner would have Q_tot regress to
    running_since: np.ndarray  # [T, N] int64; the agent's latest decision step

    @property
    def td_error(self) -> np.ndarray:
        """[T]; target - Q_tot: positive where the step turned out better than the networks expected."""
        return self.target - self.q_tot

    @property
    def q_tot(self) -> np.ndarray:
        """[T]."""
        q_tot: np.ndarray = self.explanation.q_tot.squeeze(1).cpu().numpy()
        return q_tot

    @property
    def reward(self) -> np.ndarray:
        """[T]; of the step that began here."""
        reward: np.ndarray = self.recording.reward[0, self.steps].astype(np.float64)
        return reward

    @property
    def f(self) -> np.ndarray:
        """[T, M, M]."""
        f: np.ndarray = self.explanation.f.cpu().numpy()
        return f

    @property
    def total_reward(self) -> float:
        """The episode's return, undiscounted."""
        return float(self.recording.reward.sum(dtype=np.float64))

    def status(self, row: int, agent: int) -> str:
        """What an agent is doing at mixed step `row`."""
        available = self.recording.avail_actions[0, self.steps[row], agent]
        if available[NOOP]:
            return INACTIVE
        return EXECUTING if available[CONTINUE] else DECIDING

    def running_action(self, row: int, agent: int) -> int:
        """The action that an agent decides on now, carries on, or has none of (`noop`)."""
        if self.status(row, agent) == INACTIVE:
            return NOOP
        return int(self.recording.actions[0, self.running_since[row, agent], agent])


def play(simulator: Simulator, learner: Any, seed: int, draws_seed: int) -> Course:
    """Play one episode greedily and explain it, in float64.

    The running constants of the mixer (MVD's C) stay as they were saved; the target networks are the
    learner's own.

    Args:
        simulator: of one episode, without proxies.
        learner: with `mac`, `mixer` and `compute`; only a copy of it moves.
        seed: of the episode.
        draws_seed: of what the mixer draws at random (NA2Q's noise, SHAQ's orders).

    Raises:
        ValueError: no step of the episode is mixed, or a number is not finite; one line.
    """
    n_agents = simulator.n_agents
    recording = record(simulator, follow(learner.mac, 1, 0, greedy=True), [seed], n_agents)
    subject = double_copy(learner)
    subject.draws = Draws(draws_seed)
    subject.mixer.observe_proxies = lambda *_: None  # an explanation does not move C
    update = subject.compute(batch_for(subject, recording))
    steps = update.sides.mask[0, :, 0].nonzero().squeeze(1).cpu().numpy()
    if len(steps) == 0:
        raise ValueError(NOTHING_TO_MIX.format(where=learner.where))
    return Course(
        recording=recording,
        steps=steps,
        explanation=subject.mixer.explain(*update.sides.live),
        target=update.target.squeeze(1).cpu().numpy(),
        running_since=decision_steps(recording, n_agents)[steps],
    )


def decision_steps(recording: Recording, n_agents: int) -> np.ndarray:
    """[T1, N] int64; each agent's latest decision step at or before each step, 0 where it never decided."""
    deciding = recording.status(n_agents).deciding[0]
    steps = np.arange(len(deciding))[:, None]
    return np.maximum.accumulate(np.where(deciding, steps, 0), axis=0)


def to_list(values: torch.Tensor) -> Any:
    """A tensor as nested lists of Python numbers."""
    return values.cpu().tolist()
