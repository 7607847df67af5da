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
from types import SimpleNamespace
from typing import Any, Callable, Sequence

import numpy as np
import pytest
import torch
import yaml

EPISODES, STEPS, AGENTS, OBS, ACTIONS, STATE = 32, 600, 3, 150, 12, 120
ROUNDS = 5
PRODUCTS = ("aten::mm", "aten::addmm", "aten::addmm_", "aten::bmm", "aten::baddbmm", "aten::linear")
ROOT = Path(__file__).resolve().parents[2]


class Batch(dict):
    """As much of an EpisodeBatch as learners touch."""

    batch_size = EPISODES
    device = "cpu"

    @property
    def max_seq_length(self) -> int:
        return int(self["filled"].shape[1])


class SilentLogger:
    """Takes statistics and keeps none."""

    console_logger = None

    def log_stat(self, name: str, value: float, t_env: int) -> None:
        """Nothing."""


def random_batch(lengths: Sequence[int], n_agents: int = AGENTS) -> Batch:
    """Episodes of `lengths` executed steps; every action available, or only `continue` half of the time."""
    generator = torch.Generator().manual_seed(0)
    last = torch.tensor([int(length) for length in lengths]).unsqueeze(1)
    n_steps = int(last.max()) + 1
    shape = (len(lengths), n_steps)
    filled = (torch.arange(n_steps) <= last).long().unsqueeze(-1)
    played = filled.unsqueeze(-1)
    executing = torch.rand(*shape, n_agents, 1, generator=generator) < 0.5
    executing[:, 0] = False
    avail = torch.ones(*shape, n_agents, ACTIONS, dtype=torch.int)
    avail[..., :2] = 0
    only_continue = torch.zeros(ACTIONS, dtype=torch.int)
    only_continue[1] = 1
    avail = torch.where(executing, only_continue, avail) * played.int()
    drawn = torch.randint(2, ACTIONS, (*shape, n_agents, 1), generator=generator)
    actions = torch.where(executing, 1, drawn) * played
    return Batch(
        obs=torch.randn(*shape, n_agents, OBS, generator=generator) * played,
        state=torch.randn(*shape, STATE, generator=generator) * filled,
        avail_actions=avail,
        actions=actions,
        actions_onehot=torch.nn.functional.one_hot(actions.squeeze(-1), ACTIONS).float(),
        reward=torch.randn(*shape, 1, generator=generator) * filled,
        terminated=((torch.arange(n_steps) == last - 1).unsqueeze(-1)).to(torch.uint8),
        filled=filled,
    )


def settings(algorithm: str) -> SimpleNamespace:
    """EPyMARL's defaults, our async.yaml and the algorithm's yaml, laid over each other."""
    merged: dict[str, Any] = {}
    for path in (
        "src/epymarl_lite/config/default.yaml",
        "plugins/config/envs/async.yaml",
        f"plugins/config/algs/{algorithm}.yaml",
    ):
        merged.update(yaml.safe_load((ROOT / path).read_text()))
    merged.update(
        n_agents=AGENTS, n_actions=ACTIONS, state_shape=STATE, seed=1, use_cuda=False, device="cpu",
        learner_log_interval=10**12, target_update_interval_or_tau=10**9,
    )  # fmt: skip
    return SimpleNamespace(**merged)


SCHEME = {
    "obs": {"vshape": OBS, "group": "agents"},
    "state": {"vshape": STATE},
    "actions": {"vshape": (1,), "group": "agents"},
    "actions_onehot": {"vshape": (ACTIONS,), "group": "agents"},
    "avail_actions": {"vshape": (ACTIONS,), "group": "agents"},
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
    batch = random_batch(LENGTHS[lengths])
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
