"""Speed of Overcooked: `python -m pytest benchmarks/speed/test_overcooked.py --benchmark-only`.

Environment steps (primitive time steps) a second on one core in the paper's setting, three agents with
macro-actions, compilation excluded; with observation, state and availability, and with the policy: it draws
from the masks inside the timed part, as restarts of ended episodes do. Only steps of running episodes count.
Aim: 1,000,000 at B=256. With OVERCOOKED_HOME naming a checkout of gym-macro-overcooked (24a9901) the original
plays the same, one episode at a time, in the same process.
"""

from typing import Any

import numpy as np
import pytest

from async_envs.core.compile import kernel
from async_envs.core.seeding import next_below
from async_envs.core.simulator import Simulator
from async_envs.overcooked.simulator import make
from benchmarks.speed.original_overcooked import make_original, missing

N_CALLS = {256: 800, 1: 8000}  # of `step`, in each timed round
MAX_STEPS = 200  # of an episode
RESTART_EVERY = 16  # calls between two looks for ended episodes, which wait meanwhile and do not count


@kernel
def draw(avail_actions, streams, actions):  # type: ignore[no-untyped-def]
    """An available action for each agent, each as likely. Writes: actions, streams."""
    for b in range(actions.shape[0]):
        for i in range(actions.shape[1]):
            n_available = 0
            for action in range(avail_actions.shape[2]):
                n_available += avail_actions[b, i, action]
            k = next_below(streams, b, n_available) if n_available > 1 else 0
            for action in range(avail_actions.shape[2]):
                if avail_actions[b, i, action]:
                    if k == 0:
                        actions[b, i] = action
                        break
                    k -= 1


class Player:
    """Plays on and on with random available actions, restarting what has ended."""

    def __init__(self, simulator: Simulator):
        self.simulator = simulator
        self.seeds = np.arange(simulator.batch_size, dtype=np.uint64)
        self.streams = self.seeds.copy()
        self.actions = np.zeros((simulator.batch_size, simulator.n_agents), np.int64)
        self.n_steps = 0
        simulator.reset(self.seeds)

    def play(self, n_calls: int) -> None:
        """Let `n_calls` steps pass; adds the steps of running episodes to `n_steps`."""
        simulator = self.simulator
        terminated, truncated = simulator.terminated, simulator.truncated
        t_before = int(simulator.t.sum())
        for call in range(n_calls):
            draw(simulator.avail_actions, self.streams, self.actions)
            simulator.step(self.actions)
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
            self.simulator.reset(self.seeds, is_over)


@pytest.mark.parametrize("batch_size", [256, 1])
@pytest.mark.parametrize("actions", ["macro", "primitive"])
@pytest.mark.parametrize("variant", ["A", "B", "C"])
def test_overcooked(benchmark: Any, variant: str, actions: str, batch_size: int) -> None:
    player = Player(make(f"async:overcooked-{variant}", variant, batch_size, actions=actions))
    player.play(N_CALLS[batch_size])  # compiles, and spreads the episodes over their length
    player.n_steps, rounds = 0, 10
    benchmark.pedantic(player.play, (N_CALLS[batch_size],), rounds=rounds, iterations=1)
    assert player.n_steps > 0
    steps_a_round = player.n_steps / rounds
    benchmark.extra_info["env_steps_per_s"] = round(steps_a_round / benchmark.stats.stats.median)
    benchmark.extra_info["env_steps_per_s_best_round"] = round(steps_a_round / benchmark.stats.stats.min)


@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.parametrize("variant", ["A", "B", "C"])
def test_original(benchmark: Any, variant: str) -> None:
    """Macro-actions drawn uniformly; those of agents whose macro runs are ignored, as the original has it."""
    original = make_original(variant)
    rng = np.random.default_rng(0)
    n_macros = 14 if variant == "A" else 15
    macros = rng.integers(0, n_macros, (MAX_STEPS, original.n_agent)).tolist()

    def play() -> int:
        original.reset()
        for n_steps, choice in enumerate(macros, 1):
            if original.run(choice)[2]:
                break
        return n_steps

    steps_a_round = benchmark.pedantic(play, rounds=10, iterations=1)
    benchmark.extra_info["env_steps_per_s"] = round(steps_a_round / benchmark.stats.stats.median)
    benchmark.extra_info["env_steps_per_s_best_round"] = round(steps_a_round / benchmark.stats.stats.min)
