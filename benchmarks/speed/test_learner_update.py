"""One learner update, ours against EPyMARL's stock QMIX, in the same run.

    EPYMARL_HOME=/path/to/epymarl OMP_NUM_THREADS=1 python -m pytest benchmarks/speed/test_learner_update.py

The stock learner is EPyMARL's (tested at commit cbc38c0) with `use_rnn=True` and `obs_last_action=True`. They
take turns, so that a busy machine slows both; `upstream_over_ours` in the report is the ratio of the medians,
of processor time with one thread, of wall time with more. `matrix_product_share` is the time of our update's
matrix products, seen by torch's profiler in one update more, over that of the whole update.
Batch: 32 episodes of up to 600 steps, 3 agents, 150 observation features, 12 actions, 120 state features,
float32, random numbers.
"""

import os
import statistics
import time
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import torch

from benchmarks.speed.material import AGENTS, EPISODES, SilentLogger, Widths, random_batch, settings

STEPS, WIDTHS = 600, Widths()
ROUNDS = 5
PRODUCTS = ("aten::mm", "aten::addmm", "aten::addmm_", "aten::bmm", "aten::baddbmm", "aten::linear")


class Batch(dict):
    """As much of an EpisodeBatch as learners touch."""

    batch_size = EPISODES
    device = "cpu"

    @property
    def max_seq_length(self) -> int:
        return int(self["filled"].shape[1])


SCHEME = {
    "obs": {"vshape": WIDTHS.obs, "group": "agents"},
    "state": {"vshape": WIDTHS.state},
    "actions": {"vshape": (1,), "group": "agents"},
    "actions_onehot": {"vshape": (WIDTHS.actions,), "group": "agents"},
    "avail_actions": {"vshape": (WIDTHS.actions,), "group": "agents"},
}


def our_learner(algorithm: str) -> Any:
    """The learner of plugins/config/algs/<algorithm>.yaml."""
    from plugins.controllers.async_mac import AsyncMAC
    from plugins.learners.value_learner import ValueLearner

    args = settings(algorithm)
    return ValueLearner(AsyncMAC(SCHEME, {"agents": AGENTS}, args), SCHEME, SilentLogger(), args)


def stock_learner() -> Any:
    """EPyMARL's QMIX, with the same network sizes as ours."""
    from controllers.basic_controller import BasicMAC
    from learners.q_learner import QLearner

    args = settings("qmix")
    args.mixer = "qmix"
    return QLearner(BasicMAC(SCHEME, {"agents": AGENTS}, args), SCHEME, SilentLogger(), args)


def in_turns(
    ours: Callable[[], None], theirs: Callable[[], None], clock: Callable[[], float]
) -> tuple[float, float]:
    """Median seconds of each by `clock`, over ROUNDS turns after one turn to warm up."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS + 1):
        for function, column in zip((ours, theirs), times):
            start = clock()
            function()
            column.append(clock() - start)
    return statistics.median(times[0][1:]), statistics.median(times[1][1:])


def matrix_products_s(update: Callable[[], None]) -> float:
    """Seconds that one update spends in matrix products, forwards and backwards."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        update()
    return sum(event.self_cpu_time_total for event in profile.key_averages() if event.key in PRODUCTS) / 1e6


LENGTHS = {
    "full": [STEPS] * EPISODES,  # no padding
    "82 % padding": [STEPS, *np.random.default_rng(0).geometric(1 / 80, EPISODES - 1).clip(5, STEPS)],
}


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts an EPyMARL checkout on the path."""
    home = os.environ.get("EPYMARL_HOME")
    if not home:
        pytest.skip("EPYMARL_HOME names no EPyMARL checkout to compare with")
    monkeypatch.syspath_prepend(str(Path(home) / "src"))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("algorithm", ["qmix", "mvd"])
def test_update(benchmark: Any, upstream: None, algorithm: str, lengths: str, threads: int) -> None:
    """One update of ours, with the stock QMIX's time beside it."""
    before = torch.get_num_threads()
    clock = time.process_time if threads == 1 else time.perf_counter  # the first feels no other program
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    batch = Batch(random_batch(LENGTHS[lengths]))
    ours, theirs = our_learner(algorithm), stock_learner()
    try:
        our_s, their_s = in_turns(lambda: ours.train(batch, 0, 0), lambda: theirs.train(batch, 0, 0), clock)
        benchmark.pedantic(lambda: ours.train(batch, 0, 0), rounds=ROUNDS)
        products_s = matrix_products_s(lambda: ours.train(batch, 0, 0))
    finally:
        torch.set_num_threads(before)
    benchmark.extra_info.update(
        ours_ms=1e3 * our_s,
        stock_qmix_ms=1e3 * their_s,
        upstream_over_ours=their_s / our_s,
        matrix_product_share=products_s / our_s,
        padding=1 - batch["filled"].float().mean().item(),
    )
    benchmark.group = f"{lengths}, {threads} thread{'s' * (threads > 1)}"
