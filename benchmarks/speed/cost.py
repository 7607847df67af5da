"""What an update of each algorithm costs beside plain QMIX: `python -m benchmarks.speed.cost` prints Markdown.

For every algorithm of `python -m registry algorithms`, and for MVD and NA2Q of other orders: seconds of one
learner update and the number of trained parameters, for n agents and episodes of T steps, and the ratio to QMIX,
which takes turns with it in the same process. Processor time of one thread, the median of three turns after one to
warm up. Batch: 32 full episodes (an actor-critic's own setting is 8), every agent executing half of the time, 150
observation features, 12 actions, 120 state features, float32, random numbers; with --key the agents, features and
actions of that task, and T its limit. A combination that the algorithm refuses, or that the free memory cannot hold, is
shown as refused with the reason.
"""

import contextlib
import logging
import re
import statistics
import sys
from contextlib import contextmanager
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Iterator, Sequence

import click
import psutil
import torch
from torch import nn

from benchmarks.speed.__main__ import machine
from benchmarks.speed.material import EPISODES, SilentLogger, Widths, random_batch, settings
from registry import catalog
from registry.config import OURS, yaml_names
from registry.hosts import select

__all__ = ["AGENTS", "BASE", "Cost", "Refused", "ROWS", "Row", "STEPS", "markdown", "measure"]

AGENTS, STEPS, WIDTHS = (3, 8), (200, 600), Widths()
ROUNDS = 3
MANY = 10_000  # episodes played between two updates: actor-critics wait until all of a batch are new
FREE_SHARE = 0.8  # of the free memory that a measurement may take
NOT_FREE = (
    "{algorithm}: needs more memory than the {gb:.1f} GB that are free, at {n_agents} agents and {steps} steps."
)
NO_ROOM = re.compile("can't allocate memory|not enough memory|std::bad_alloc", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """An algorithm, and what is changed about it."""

    config: str
    changes: tuple[tuple[str, Any], ...] = ()

    @property
    def label(self) -> str:
        """For tables."""
        return " ".join([self.config, *(f"{name}={value}" for name, value in self.changes)])


BASE = Row("qmix")
ORDERS = [Row("mvd", (("mvd_order", order),)) for order in (1, 3)]
ORDERS += [Row(name, (("na2q_order", order),)) for name in ("na2q", "na2q_a") for order in (1, 3)]
ROWS = tuple(sorted([*(Row(name) for name in yaml_names(OURS / "algs")), *ORDERS], key=lambda row: row.label))


class Refused(Exception):
    """An algorithm that cannot be had at these sizes; one line."""


@dataclass(frozen=True)
class Cost:
    """Of one update."""

    seconds: float
    qmix_seconds: float  # in the same turns
    parameters: int  # trained, target networks left out

    @property
    def over_qmix(self) -> float:
        """Ratio of the seconds."""
        return self.seconds / self.qmix_seconds


def measure(
    row: Row, n_agents: int, n_steps: int, episodes: int = EPISODES, rounds: int = ROUNDS, widths: Widths = WIDTHS
) -> Cost:
    """Time updates of `row` and of QMIX in turns.

    Raises:
        Refused: the algorithm refuses these sizes, or the memory does not hold them.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        with at_most_free_memory(row, n_agents, n_steps):
            learners = [build(each, n_agents, n_steps, widths) for each in (row, BASE)]
            batch = whole_batch(n_agents, n_steps, episodes, widths)
            times: tuple[list[float], list[float]] = ([], [])
            for turn in range(rounds + 1):
                for learner, column in zip(learners, times):
                    start = time.process_time()
                    learner.train(batch, 0, turn * MANY)
                    column.append(time.process_time() - start)
                    assert learner.training_steps == turn + 1, f"{row.label}: it did not learn from the batch"
            seconds, base = (statistics.median(column[1:]) for column in times)
            return Cost(seconds, base, n_parameters(learners[0]))
    finally:
        torch.set_num_threads(before)


def arguments(
    row: Row, n_agents: int, n_steps: int, widths: Widths = WIDTHS
) -> tuple[Any, dict[str, Any], dict[str, int], dict[str, Any]]:
    """The configuration as a learner gets it, and the host's scheme, groups and preprocess."""
    from epymarl_lite.run import layout

    args = SimpleNamespace(**{**vars(settings(row.config)), **dict(row.changes), "episode_limit": n_steps})
    info = {
        "state_shape": widths.state, "obs_shape": widths.obs, "n_actions": widths.actions, "n_agents": n_agents
    }  # fmt: skip
    return args, *layout(args, info)


def build(row: Row, n_agents: int, n_steps: int, widths: Widths = WIDTHS) -> Any:
    """The learner, as training builds it.

    Raises:
        Refused: it does not take these sizes.
    """
    args, scheme, groups, _ = arguments(row, n_agents, n_steps, widths)
    parts = select.choose("embedded").parts()
    try:
        mac = parts.controllers[args.mac](scheme, groups, args)
        return parts.learners[args.learner](mac, scheme, SilentLogger(), args)
    except ValueError as error:
        raise Refused(" ".join(str(error).split())) from error


def whole_batch(n_agents: int, n_steps: int, episodes: int, widths: Widths) -> Any:
    """Full episodes in the host's own batch."""
    _, scheme, groups, preprocess = arguments(BASE, n_agents, n_steps, widths)
    data = random_batch([n_steps] * episodes, n_agents, widths)
    data.pop("actions_onehot")
    batch = select.choose("embedded").parts().episode_batch(
        scheme, groups, episodes, n_steps + 1, preprocess=preprocess, device="cpu"
    )
    batch.update(data, mark_filled=False)
    return batch


def n_parameters(learner: Any) -> int:
    """Parameters of everything that the learner holds and trains."""
    found: dict[int, int] = {}
    seen: set[int] = set()

    def look(part: Any) -> None:
        if id(part) in seen:
            return
        seen.add(id(part))
        if isinstance(part, nn.Module):
            found.update((id(parameter), parameter.numel()) for parameter in part.parameters())
        elif type(part).__module__.startswith("plugins."):
            for name, below in getattr(part, "__dict__", {}).items():
                if "target" not in name:
                    look(below)

    look(learner)
    return sum(found.values())


@contextlib.contextmanager
def at_most_free_memory(row: Row, n_agents: int, n_steps: int) -> Iterator[None]:
    """Refuse what asks for more memory than is free, where the system can be told to.

    Raises:
        Refused: it did.
    """
    import resource  # POSIX

    torch.optim.Adam([nn.Parameter(torch.zeros(1))])  # imports what torch leaves until an optimiser is made
    free = FREE_SHARE * psutil.virtual_memory().available
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = psutil.Process().memory_info().vms + int(free)
    words = {"algorithm": row.label, "gb": free / 1e9, "n_agents": n_agents, "steps": n_steps}
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    try:
        yield
    except MemoryError as error:
        raise Refused(NOT_FREE.format(**words)) from error
    except RuntimeError as error:
        if not NO_ROOM.search(str(error)):
            raise
        raise Refused(NOT_FREE.format(**words)) from error
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def markdown(
    agents: Sequence[int], steps: Sequence[int], costs: dict[tuple[Row, int, int], Cost | str]
) -> str:
    """The table: a row an algorithm, seconds and (times QMIX) for each pair of sizes, parameters for each n."""
    sizes = [(n, t) for n in agents for t in steps]
    head = ["algorithm", *(f"s, n = {n}, T = {t}" for n, t in sizes), *(f"parameters, n = {n}" for n in agents)]
    lines = [_line(head), _line(["---"] * len(head))]
    notes: list[str] = []
    for row in dict.fromkeys(row for row, _, _ in costs):
        cells = [f"`{row.label}`"]
        for n, t in sizes:
            cost = costs[row, n, t]
            if isinstance(cost, str):
                notes += [cost] if cost not in notes else []
                cells.append(f"refused ({notes.index(cost) + 1})")
            else:
                cells.append(f"{cost.seconds:.3g} ({cost.over_qmix:.2f} ×)")
        for n in agents:
            known = [cost for t in steps if isinstance(cost := costs[row, n, t], Cost)]
            cells.append(f"{known[0].parameters:,}" if known else "-")
        lines.append(_line(cells))
    return "\n".join([*lines, *(f"\n({number}) {note}" for number, note in enumerate(notes, start=1))])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


@contextmanager
def quiet() -> Iterator[None]:
    """No log lines between those of the table."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@click.command(help=(__doc__ or "").replace("`", ""))
@click.option("--key", help="A task that gives the sizes, e.g. async:poac-1; --agents and --steps count for nothing.")
@click.option("--agents", multiple=True, type=click.IntRange(1), default=AGENTS, show_default=True)
@click.option("--steps", multiple=True, type=click.IntRange(1), default=STEPS, show_default=True)
@click.option("--episodes", type=click.IntRange(1), default=EPISODES, show_default=True, help="In the batch.")
@click.option("--only", multiple=True, metavar="NAME", help="Only algorithms of this name; may come again.")
@click.option("--out", type=click.Path(path_type=Path), help="A file for the table, beside the screen.")
def main(
    key: str | None, agents: Sequence[int], steps: Sequence[int], episodes: int, only: Sequence[str], out: Path | None
) -> None:
    unknown = [name for name in only if name not in {row.config for row in ROWS}]
    if unknown:
        click.echo(f"cost: --only={unknown[0]} is no algorithm. python -m registry algorithms lists them.", err=True)
        sys.exit(2)
    widths = WIDTHS
    if key is not None:
        try:
            task = catalog.make(key, batch_size=1)
        except ValueError as error:
            click.echo(" ".join(str(error).split()), err=True)
            sys.exit(2)
        agents, steps = (task.n_agents,), (task.episode_limit,)
        widths = Widths(obs=task.obs_dim, actions=task.n_actions, state=task.state_dim)
    costs: dict[tuple[Row, int, int], Cost | str] = {}
    for row in (row for row in ROWS if not only or row.config in only):
        for n, t in ((n, t) for n in agents for t in steps):
            click.echo(f"{row.label}, n = {n}, T = {t}", err=True)
            try:
                with quiet():
                    costs[row, n, t] = measure(row, n, t, episodes, widths=widths)
            except Refused as reason:
                costs[row, n, t] = str(reason)
    sizes = f"{widths.obs} observation features, {widths.actions} actions, {widths.state} state features"
    told = f"{machine()}; {episodes} episodes an update, {sizes}, one thread\n\n{markdown(agents, steps, costs)}\n"
    click.echo(told)
    if out is not None:
        out.write_text(told, encoding="utf-8")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.speed.cost")
