"""Whole training on async:poac-1, environment steps a second, start-up excluded.

    EPYMARL_HOME=/path/to/epymarl python -m pytest benchmarks/speed/test_training.py

Everything that a run does is inside: playing, storing, sampling, learning, logging. Both sides take turns in
processes of their own with torch on one thread, 8 episodes a rollout where not said otherwise, 32 episodes of
the replay buffer an update. Exploration stays at 1, so lengths of episodes (about 80 steps) do not depend on
what was learnt. Timing begins when the buffer can be sampled.

Updates for each episode played are equal: our `updates_per_episode` (1 by default) is set to 1/8 where the
peer is EPyMARL's parallel runner, which updates once a rollout of 8, and stays 1 where it is EPyMARL's
episode runner, which updates once an episode. Of EPyMARL's algorithms the peer is its stock QMIX with `use_rnn=True`.
"""

import os
import statistics
from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed.marked_run import MarkedRun

TURNS = 2
WARM_STEPS, STEPS = 3_500, 8_500  # 3,500 steps hold the 32 episodes that the first update needs

COMMON = [
    "env_args.key=async:poac-1", f"t_max={STEPS}", "seed=1", "epsilon_anneal_time=1000000000",
    "test_nepisode=1", "test_interval=1000000000", "buffer_size=500",
]  # fmt: skip
OURS = ["--config=mvd", "with", *COMMON, "checkpoint_interval=0", "batch_size_run=8", "runner=vector"]
PARALLEL = [*OURS[:-1], "runner=parallel"]
STOCK = ["--config=host:qmix", "with", *COMMON, "use_rnn=True", "use_cuda=False"]

PEERS: dict[str, tuple[list[str], str, list[str]]] = {  # ours, then the peer's host and command line
    "mvd_against_embedded_parallel": (OURS, "embedded", PARALLEL),
    "mvd_against_upstream_qmix_parallel": (
        [*OURS, "updates_per_episode=0.125"],
        "upstream",
        [*STOCK, "runner=parallel", "batch_size_run=8"],
    ),
    "mvd_against_upstream_qmix_episode": (
        OURS,
        "upstream",
        [*STOCK, "runner=episode", "batch_size_run=1"],
    ),
}


@pytest.mark.parametrize("pair", PEERS)
def test_training(benchmark: Any, tmp_path: Path, pair: str) -> None:
    """Steps a second of ours and of the peer, the median over the turns."""
    ours, host, theirs = PEERS[pair]
    if host == "upstream" and not os.environ.get("EPYMARL_HOME"):
        pytest.skip("EPYMARL_HOME names no EPyMARL checkout to compare with")
    speeds: dict[str, list[float]] = {"ours": [], "theirs": []}

    def turn() -> None:
        for name, by, arguments in (("ours", "embedded", ours), ("theirs", host, theirs)):
            marks = MarkedRun(by, tmp_path, arguments).finish()
            speeds[name].append(marks.steps_per_s(WARM_STEPS))

    benchmark.pedantic(turn, rounds=TURNS)
    our_speed, their_speed = (statistics.median(speeds[name]) for name in ("ours", "theirs"))
    benchmark.extra_info.update(
        env_steps_per_s=our_speed, peer_env_steps_per_s=their_speed, ours_over_peer=our_speed / their_speed
    )
