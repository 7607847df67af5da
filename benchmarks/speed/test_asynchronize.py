"""What asynchrony over a foreign task costs: `python -m pytest benchmarks/speed/test_asynchronize.py --benchmark-only`.

Environment steps a second on one core, of the plain task and of ours with `all_one`, which is told the same, with one
episode and with eight; they take turns, round by round. Actions are drawn beforehand.
"""

import time
from typing import Any

import gymnasium
import numpy as np
import pytest

import registry
from async_envs.asynchronize.example import Carriers
from async_envs.core.simulator import FIRST_ACTION

N_STEPS, ROUNDS = 2000, 10


def plain_cartpole(actions: np.ndarray) -> None:
    """CartPole as Gymnasium makes it."""
    env = gymnasium.make("CartPole-v1", disable_env_checker=True)
    env.reset(seed=0)
    for action in actions:
        _, _, terminated, truncated, _ = env.step(int(action))
        if terminated or truncated:
            env.reset()


def plain_carriers(actions: np.ndarray) -> None:
    """The example as PettingZoo has it; staying is always possible."""
    env = Carriers()
    env.reset(seed=0)
    for _ in actions:
        env.step({"left": 0, "right": 0})
        if not env.agents:
            env.reset()


PLAIN = [("gymnasium-CartPole-v1", plain_cartpole), ("pettingzoo-example", plain_carriers)]


@pytest.mark.parametrize("batch_size", [8, 1])
@pytest.mark.parametrize("key, plain", PLAIN)
def test_layer(benchmark: Any, key: str, plain: Any, batch_size: int) -> None:
    sim = registry.make(f"async:{key}", batch_size, durations="all_one")
    actions = np.random.default_rng(0).integers(0, 2, N_STEPS)
    if key.endswith("example"):
        actions[:] = 0
    rows = np.tile(actions[:, None, None] + FIRST_ACTION, (1, batch_size, sim.n_agents))
    seeds = list(range(batch_size))
    theirs: list[float] = []

    def turn() -> None:
        start = time.perf_counter()
        plain(actions)
        theirs.append(time.perf_counter() - start)

    def ours() -> None:
        sim.reset(seeds)
        for row in rows:
            sim.step(row)
            over = sim.terminated | sim.truncated
            if over.any():
                sim.reset(seeds, over)

    benchmark.pedantic(ours, setup=turn, rounds=ROUNDS, iterations=1)
    own, other = benchmark.stats.stats.median, float(np.median(theirs))
    own /= batch_size  # seconds for as many steps as the plain task's
    benchmark.extra_info["env_steps_per_s"] = round(N_STEPS / own)
    benchmark.extra_info["plain_env_steps_per_s"] = round(N_STEPS / other)
    benchmark.extra_info["time_over_plain"] = own / other
