"""The verb run: workers on a results folder, and a display of what they do."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import click

from benchmarks.leaderboard import protocol as protocols
from benchmarks.leaderboard.cells import FAILED, Chosen, choose
from benchmarks.leaderboard.commands.options import chosen_options, results_option, words
from benchmarks.leaderboard.display import Display, Watch
from benchmarks.leaderboard.executors import EXECUTORS, Pool, make_pool
from benchmarks.leaderboard.queue import begin, open_queue
from registry import checks

__all__ = ["command"]

LOOK_S = 2.0  # between two looks at the cells
NO_PROTOCOL = "--protocol is missing: which one? Known: {known}. A folder that was begun needs none."
NOTHING = "--results={results}: nothing of the protocol can be run here. Choose other --tasks or --algorithms."
INTERRUPTED = "Interrupted. The same command goes on from here."
ENDED = "Every worker has ended, and {left} of {total} cells are left. The same command goes on from here."
BAD_OPTION = "--{executor}-option {given}: neither a name nor a value. Write NAME=VALUE, e.g. {example}."


@click.command()
@results_option
@click.option("--protocol", "name", metavar="P", help="paper, standard, small, smoke, or a YAML file.")
@chosen_options
@click.option(
    "--workers", type=click.IntRange(1), help="Cells at work at the same time; as many as cores if left out."
)
@click.option("--executor", type=click.Choice(list(EXECUTORS)), default="local", show_default=True)
@click.option("--ray-option", multiple=True, metavar="NAME=VALUE", help="For ray.init, e.g. address=auto.")
@click.option(
    "--slurm-option", multiple=True, metavar="NAME=VALUE", help="For submitit, e.g. slurm_partition=cpu."
)
@click.option("--dry-run", is_flag=True, help="Show cells with predicted time and memory; train nothing for real.")
@click.option(
    "--calibration", default=10.0, show_default=True, type=click.FloatRange(0.0), metavar="SECONDS",
    help="Of learning, for each task and algorithm of a dry run; 0 predicts nothing.",
)  # fmt: skip
def command(
    results: Path,
    name: str | None,
    algorithms: tuple[str, ...],
    tasks: tuple[str, ...],
    seeds: tuple[str, ...],
    workers: int | None,
    executor: str,
    dry_run: bool,
    calibration: float,
    **options: tuple[str, ...],
) -> None:
    """Train and evaluate every cell (task, algorithm, seed) of a protocol that is not done.

    \b
    python -m benchmarks.leaderboard run --results results/smoke --protocol smoke --workers 2

    Cells are claimed with file locks: give the same command on as many machines as share the folder. What was killed
    goes on from its last checkpoint, what is finished is never run again, what failed waits for `retry`. Exit
    status 1 if a cell has failed or is left.
    """
    results = results.absolute()
    protocol = _protocol(results, name)
    chosen = choose(protocol, words(algorithms), words(tasks), words(seeds))
    checks.check_results_root(str(results))
    executor_options = {
        each: parse_options(each, given) for each in ("ray", "slurm") if (given := options[f"{each}_option"])
    }
    n_workers = workers or n_cores()
    if dry_run:
        from benchmarks.leaderboard.calibration import dry_run as show

        show(results, protocol, chosen, n_workers, calibration, click.echo)
        return
    begin(results, protocol)
    sys.exit(run(results, chosen, executor, n_workers, executor_options.get(executor, {})))


def n_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _protocol(results: Path, name: str | None) -> protocols.Protocol:
    if name is None:
        if not (results / protocols.FILE).exists():
            raise ValueError(NO_PROTOCOL.format(known=", ".join(protocols.names())))
        return protocols.load(results / protocols.FILE)
    return protocols.load(name)


def parse_options(executor: str, given: tuple[str, ...]) -> dict[str, Any]:
    """NAME=VALUE words as values.

    Raises:
        ValueError: no such word; one line.
    """
    import yaml

    examples = {"ray": "address=auto", "slurm": "slurm_partition=cpu"}
    parsed = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise ValueError(BAD_OPTION.format(executor=executor, given=word, example=examples[executor]))
        parsed[name] = yaml.safe_load(value)
    return parsed


def run(results: Path, chosen: Chosen, executor: str, n_workers: int, options: dict[str, Any]) -> int:
    """Work on the folder until nothing is left to do; returns the exit status."""
    queue = open_queue(results, chosen)
    if not queue.cells:
        raise ValueError(NOTHING.format(results=results))
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    pool: Pool | None = None
    try:
        with Display(Watch(queue.cells)) as display:
            if not queue.is_done():
                pool = make_pool(executor, results, chosen, min(n_workers, len(queue.cells)), options)
                follow(pool, display)
    except KeyboardInterrupt:
        if pool is not None:
            pool.stop()
        click.echo(INTERRUPTED, err=True)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    states = queue.states()
    if not queue.is_done():
        left = sum(n for state, n in states.items() if state in ("not run", "running"))
        click.echo(ENDED.format(left=left, total=len(queue.cells)), err=True)
        return 1
    return int(states[FAILED] > 0)


def follow(pool: Pool, display: Display) -> None:
    """Show what happens until every worker has ended."""
    while pool.alive():
        _show(pool, display)
        time.sleep(LOOK_S)
    _show(pool, display)


def _show(pool: Pool, display: Display) -> None:
    for line in pool.complaints():
        display.say(line)
    display.update()
