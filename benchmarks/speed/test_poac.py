"""Speed of POAC-5: `python -m pytest benchmarks/speed/test_poac.py --benchmark-only`.

Environment steps a second on one core, compilation excluded; with observation, state, availability and bots,
and with the policy: it draws from the masks or commands the units inside the timed part, as restarts of
ended episodes do. Only steps of running episodes count. Aims: 1,000,000 at B=256 and 60,000 at B=1.
"""

from typing import Any

import numpy as np
import pytest

from async_envs.poac.scripted import ScriptedTeam
from async_envs.poac.simulator import PoacSimulator, make

N_CALLS = {256: 400, 1: 4000}  # of `step`, in each timed round
RESTART_EVERY = 16  # calls between two looks for ended episodes, which wait meanwhile and do not count


class Player:
    """Plays on and on, restarting what has ended."""

    def __init__(self, simulator: PoacSimulator, team: str):
        self.simulator = simulator
        self.team = ScriptedTeam(simulator, team)
        self.seeds = np.arange(simulator.batch_size, dtype=np.uint64)
        self.n_steps = 0
        simulator.reset(self.seeds)

    def play(self, n_calls: int) -> None:
        """Let `n_calls` steps pass; adds the steps of running episodes to `n_steps`."""
        simulator, team = self.simulator, self.team
        terminated, truncated = simulator.terminated, simulator.truncated
        t_before = int(simulator.t.sum())
        for call in range(n_calls):
            simulator.step(team.act())
            if simulator.batch_size == 1:
                if terminated[0] or truncated[0]:
                    self.restart()
            elif call % RESTART_EVERY == 0 or (terminated | truncated).all():
                self.restart()
        self.n_steps += int(simulator.t.sum()) - t_before

    def restart(self) -> None:
        """New episodes for those that are over."""
        is_over = self.simulator.terminated | self.simulator.truncated
        if is_over.any():
            self.n_steps += int(self.simulator.t[is_over].sum())
            self.seeds += np.uint64(self.simulator.batch_size)
            self.simulator.reset(self.seeds, is_over)


@pytest.mark.parametrize("batch_size", [256, 1])
@pytest.mark.parametrize("team", ["random", "KAI0", "KAI2"])
def test_poac_5(benchmark: Any, team: str, batch_size: int) -> None:
    player = Player(make("async:poac-5", "5", batch_size=batch_size), team)
    player.play(N_CALLS[batch_size])  # compiles, and spreads the episodes over their length
    player.n_steps, rounds = 0, 10
    benchmark.pedantic(player.play, (N_CALLS[batch_size],), rounds=rounds, iterations=1)
    assert player.n_steps > 0
    steps_a_round = player.n_steps / rounds
    benchmark.extra_info["env_steps_per_s"] = round(steps_a_round / benchmark.stats.stats.median)
    benchmark.extra_info["env_steps_per_s_best_round"] = round(steps_a_round / benchmark.stats.stats.min)
