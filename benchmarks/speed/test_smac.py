"""Speed of asynchronous SMAC: `python -m pytest benchmarks/speed/test_smac.py --benchmark-only`.

Environment steps (of 8 game loops) a second on one core, compilation excluded; with observation, state and
availability, and with the policy: it draws from the masks inside the timed part, as restarts of ended episodes
do. Only steps of running episodes count. Aim: 60,000 on 3s5z at B=64. Peers take turns with ours, round by round:
SMAClite where it is installed (a checkout on the path, with rtree and pygame), one battle at a time; JaxMARL's SMAX on
one core where SMAX_HOME names a folder (see `smax`), as many battles as ours.
"""

import time

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Callable

import numpy as np
import pytest

from async_envs.smac.simulator import make
from benchmarks.speed import smax
from benchmarks.speed.test_overcooked import Player

N_CALLS = {64: 300, 1: 3000}  # of `step`, in each timed round


@pytest.mark.parametrize("batch_size", [64, 1])
@pytest.mark.parametrize("variant", ["3s5z", "2s_vs_1sc", "3s5z_vs_3s6z", "3m", "MMM2", "27m_vs_30m"])
def test_smac(benchmark: Any, variant: str, batch_size: int) -> None:
    player = Player(make(f"async:smac-{variant}", variant, batch_size))
    player.play(N_CALLS[batch_size])  # compiles, and spreads the episodes over their length
    player.n_steps, rounds = 0, 10
    benchmark.pedantic(player.play, (N_CALLS[batch_size],), rounds=rounds, iterations=1)
    assert player.n_steps > 0
    steps_a_round = player.n_steps / rounds
    benchmark.extra_info["env_steps_per_s"] = round(steps_a_round / benchmark.stats.stats.median)
    benchmark.extra_info["env_steps_per_s_best_round"] = round(steps_a_round / benchmark.stats.stats.min)


def beside(benchmark: Any, peer: Callable[[], float], n_peer_steps: int, rounds: int = 10) -> None:
    """Time a peer's rounds (it gives their seconds), each after one of ours on 3s5z; tells medians and ratio."""
    player = Player(make("async:smac-3s5z", "3s5z", 64))
    player.play(N_CALLS[64])
    ours: list[float] = []
    theirs: list[float] = []

    def turn() -> None:
        player.n_steps, start = 0, time.perf_counter()
        player.play(N_CALLS[64])
        ours.append(player.n_steps / (time.perf_counter() - start))

    benchmark.pedantic(lambda: theirs.append(n_peer_steps / peer()), setup=turn, rounds=rounds, iterations=1)
    rate, peer_rate = np.median(ours), np.median(theirs)
    benchmark.extra_info["env_steps_per_s"] = round(float(peer_rate))
    benchmark.extra_info["async_env_steps_per_s"] = round(float(rate))
    benchmark.extra_info["async_over_peer"] = float(rate / peer_rate)


@pytest.mark.skipif(bool(smax.missing()), reason=smax.missing())
def test_smax(benchmark: Any) -> None:
    """SMAX's 3s5z with its scripted enemy, 64 battles."""
    peer = smax.Peer("3s5z", 64, 100)
    beside(benchmark, peer.seconds, peer.n_steps)
    peer.close()


@pytest.mark.skipif(find_spec("smaclite") is None, reason="smaclite is not installed: no peer to compare with")
def test_smaclite(benchmark: Any) -> None:
    """SMAClite's 3s5z under its own masks, with random available actions, one battle."""
    import_module("smaclite")  # registers its maps
    env: Any = import_module("gymnasium").make("smaclite/3s5z-v0").unwrapped
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    n_steps = 50

    def play() -> float:
        start = time.perf_counter()
        for _ in range(n_steps):
            masks = np.array(env.get_avail_actions())
            actions = (rng.random(masks.shape) * masks).argmax(-1)
            _, _, is_over, _, _ = env.step([int(action) for action in actions])
            env.get_state()
            if is_over:
                env.reset(seed=0)
        return time.perf_counter() - start

    beside(benchmark, play, n_steps, rounds=5)
