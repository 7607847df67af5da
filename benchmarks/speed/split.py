"""Where the time of training goes: `OMP_NUM_THREADS=1 python -m benchmarks.speed.split [KEY=VALUE …]`.

Trains MVD on async:poac-1 for 20,000 steps in this process and prints the processor time of each part of the
training loop as a Markdown table. A part's time is its own: what it calls is counted where that is listed.
"""

import functools
import sys
import tempfile
import time
from collections import Counter, defaultdict
from importlib import import_module
from typing import Any, Callable, Sequence

import click
import torch

from benchmarks.speed.__main__ import machine
from registry.hosts import select
from registry.launch import main as command

STEPS = 20_000
ROWS: dict[str, Sequence[str]] = {  # what is printed, and the functions that it is made of
    "rollout: simulator": (
        "async_envs.core.simulator:Simulator.step", "async_envs.core.simulator:Simulator.reset",
    ),
    "rollout: acting": ("plugins.controllers.async_mac:AsyncMAC.act",),
    "rollout: loop and episode batch": ("plugins.runners.vector:VectorRunner.run",),
    "replay buffer: insert": ("epymarl_lite.components.replay_buffer:ReplayBuffer.insert_episode_batch",),
    "replay buffer: sample": ("epymarl_lite.components.replay_buffer:ReplayBuffer.sample",),
    "update: finite numbers checked": (
        "epymarl_lite.training:check_finite", "plugins.learners.value_learner:require_finite",
    ),
    "update: unroll, {live|target}": ("plugins.controllers.async_mac:AsyncMAC.unroll",),
    "update: gather, proxies, masks": ("plugins.learners.value_learner:ValueLearner._gather",),
    "update: mixer, {live|target}": ("plugins.mixers.base:Mixer.forward",),
    "update: backward of the unroll": ("plugins.agents.fused_gru:FusedGru.backward",),
    "update: backward of mixer and gather": ("torch:Tensor.backward",),
    "update: clipping, optimiser": ("plugins.learners.value_learner:ValueLearner._step",),
    "update: targets, loss, the rest": ("plugins.learners.value_learner:ValueLearner.train",),
    "statistics": (
        "plugins.learners.value_learner:ValueLearner._log", "epymarl_lite.training:Training._log_if_due",
    ),
    "tests": ("epymarl_lite.training:Training.test",),
    "checkpoints": ("epymarl_lite.saving:Saver.save",),
    "training loop": ("epymarl_lite.training:Training.train",),
}  # fmt: skip
WHOLE = ("tests", "checkpoints")  # rows that keep what they call
SIDES = "{live|target}"  # named by whether gradients are wanted


class Split:
    """Processor time of nested parts, each without the parts inside it."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self._open: list[str] = []
        self._since = 0.0

    def timed(self, row: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, its time added to `row`."""

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if any(outer in WHOLE for outer in self._open):
                return function(*args, **kwargs)
            name = row.replace(SIDES, "live" if torch.is_grad_enabled() else "target")
            self._switch()
            self._open.append(name)
            self.calls[name] += 1
            try:
                return function(*args, **kwargs)
            finally:
                self._switch()
                self._open.pop()

        return wrapped

    def table(self) -> str:
        """Rows of falling share."""
        total = sum(self.seconds.values())
        lines = ["| part | share | s | calls | ms a call |", "|---|---|---|---|---|"]
        for name, seconds in sorted(self.seconds.items(), key=lambda item: -item[1]):
            calls = self.calls[name]
            share, each = 100 * seconds / total, 1e3 * seconds / calls
            lines.append(f"| {name} | {share:.1f} % | {seconds:.2f} | {calls:,} | {each:.2f} |")
        return "\n".join([*lines, f"| all | 100 % | {total:.2f} | | |"])

    def _switch(self) -> None:
        now = time.thread_time()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now


def install(split: Split) -> None:
    """Put the stopwatch around every function of ROWS."""
    select.choose("embedded").parts()
    for row, entries in ROWS.items():
        for entry in entries:
            module, _, path = entry.partition(":")
            owner: Any = import_module(module)
            *outer, name = path.split(".")
            for attribute in outer:
                owner = getattr(owner, attribute)
            is_static = isinstance(vars(owner).get(name), staticmethod)
            wrapped = split.timed(row, getattr(owner, name))
            setattr(owner, name, staticmethod(wrapped) if is_static else wrapped)


@click.command(help=__doc__)
@click.argument("updates", nargs=-1, metavar="[KEY=VALUE …]")
def main(updates: Sequence[str]) -> None:
    """Train, then print the table."""
    split = Split()
    install(split)
    with tempfile.TemporaryDirectory() as folder:
        settings = [
            "env_args.key=async:poac-1", "seed=1", f"t_max={STEPS}", "buffer_size=500",
            f"local_results_path={folder}",
        ]  # fmt: skip
        status = command(["src/main.py", "--config=mvd", "with", *settings, *updates])
    if status:
        sys.exit(status)
    click.echo(f"\n{machine()}\n\n{split.table()}")


if __name__ == "__main__":
    main()
