"""What a protocol will cost: each algorithm is trained on each task for some seconds, with its real settings.

Only the stretch after learning has begun is counted, tests included (more often, with fewer episodes, so that their
share of the time is the same). Memory is what the process took, and the replay buffer when it is full.
"""

import shutil
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Sequence

import psutil

from benchmarks.leaderboard.cells import ENDED, FAILED, NOT_RUN, REFUSED, Cell, Chosen, cells_of, last_step, read_book
from benchmarks.leaderboard.display import duration
from benchmarks.leaderboard.protocol import FILE, Protocol
from benchmarks.leaderboard.queue import check_same
from benchmarks.processes import ROOT, ending_with_us, environment
from registry import checks
from registry import config as configuration
from registry.hosts import select
from registry.records import read_records

__all__ = ["Cost", "checked_config", "dry_run", "measure"]

TEST_INTERVAL = 1000  # environment steps between tests while measuring, at most
LIMIT_S = 180.0  # for learning to begin
POLL_S = 0.2
N_POINTS = 3  # rollouts that a rate is taken from, at least
SUM = "{n} cells to run: about {time} of work, {wall} with {workers} workers of this machine{memory}."
UNKNOWN = "{n} cells to run; nothing was measured."
WAITING = "{n} failed, which run leaves alone: put them back with retry."


@dataclass(frozen=True)
class Cost:
    """Of one cell, whole."""

    startup_s: float
    rate: float | None  # environment steps a second, tests included; None if learning did not begin in time
    memory: int  # bytes

    def seconds(self, steps: int) -> float | None:
        """Time for so many steps."""
        return None if self.rate is None else self.startup_s + steps / self.rate


def checked_config(cell: Cell) -> dict[str, Any]:
    """The whole configuration of a cell.

    Raises:
        ValueError: the command line would refuse it; one line.
    """
    host = select.choose("embedded")
    updates = configuration.nested(cell.settings)
    before = configuration.assemble(host, cell.algorithm, None, updates)
    return checks.check(host, before, updates, {})


def buffer_bytes(config: dict[str, Any]) -> int:
    """What the full replay buffer of a configuration takes."""
    from epymarl_lite.components.replay_buffer import predicted_bytes
    from epymarl_lite.run import layout
    from plugins.envs import build_simulator, env_info
    from registry import catalog

    args = SimpleNamespace(**config)
    sizes = env_info(build_simulator(catalog.make, config["env_args"], batch_size=1))
    scheme, groups, preprocess = layout(args, sizes)
    return predicted_bytes(
        scheme, groups, preprocess, args.buffer_size, sizes["episode_limit"] + 1, args.t_max, args.compact_buffer
    )


def measure(cell: Cell, config: dict[str, Any], seconds: float) -> Cost:
    """Train a cell in a folder of its own until it has learned for `seconds`, then throw it away."""
    interval = min(config["test_interval"], TEST_INTERVAL)
    n_tests = max(1, round(config["test_nepisode"] * interval / config["test_interval"]))
    schedule = {"test_interval": interval, "test_nepisode": n_tests, "log_interval": 1, "checkpoint_interval": 0}
    folder = Path(tempfile.mkdtemp(prefix="leaderboard-"))
    trial = replace(cell, folder=folder, settings={**cell.settings, **schedule})
    began = time.monotonic()
    process = subprocess.Popen(
        ending_with_us(trial.command()), cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        return _watch(process, trial, config, seconds, began)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _watch(
    process: subprocess.Popen[bytes], trial: Cell, config: dict[str, Any], seconds: float, began: float
) -> Cost:
    startup, memory, learns_at = 0.0, 0, None
    while process.poll() is None and time.monotonic() - began < LIMIT_S + seconds:
        time.sleep(POLL_S)
        memory = max(memory, resident(process.pid))
        run = trial.run()
        if run is None:
            continue
        startup = startup or time.monotonic() - began
        n_points = len(learning(run, config["batch_size"])) if last_step(run) else 0
        if learns_at is None and n_points:
            learns_at = time.monotonic()
        if learns_at is not None and n_points >= N_POINTS and time.monotonic() - learns_at >= seconds:
            break
    run = trial.run()
    rate = None if run is None else steps_per_second(run, config["batch_size"])
    return Cost(startup, rate, memory + buffer_bytes(config))


def resident(pid: int) -> int:
    """Bytes of main memory that a process has."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def learning(run: Path, batch_size: int) -> list[tuple[float, int]]:
    """(unix seconds, step) of each rollout once there were enough episodes for an update."""
    episodes = [record for record in read_records(run) if record.get("name") == "episode"]
    return [(record["time"], record["t_env"]) for record in episodes if record["value"] >= batch_size]


def steps_per_second(run: Path, batch_size: int) -> float | None:
    """Steps a second since learning began; None if that was less than two rollouts."""
    points = learning(run, batch_size)
    if len(points) < 2 or points[-1][0] <= points[0][0]:
        return None
    return (points[-1][1] - points[0][1]) / (points[-1][0] - points[0][0])


def dry_run(
    results: Path, protocol: Protocol, chosen: Chosen, n_workers: int, seconds: float, tell: Callable[[str], None]
) -> None:
    """Tell which cells there are, how they stand, and what those to be run will cost. Nothing is written to `results`.

    Raises:
        ValueError: the folder is of another protocol; one line.
    """
    if (results / FILE).exists():
        check_same(results, protocol)
    cells = cells_of(protocol, results, chosen)
    states = {cell.folder: (book.state if (book := read_book(cell.folder)) else NOT_RUN) for cell in cells}
    open_cells = [cell for cell in cells if states[cell.folder] not in ENDED]
    refused, costs = _costs(open_cells, n_workers, seconds, tell)
    rows = [("cell", "state", "time", "memory")]
    to_run: list[tuple[Cell, Cost | None]] = []
    for cell in cells:
        pair, state = (cell.task.key, cell.algorithm), states[cell.folder]
        if state in ENDED or pair in refused:
            rows.append((cell.name, state if state in ENDED else REFUSED, "-", "-"))
            continue
        cost = costs.get(pair)
        to_run.append((cell, cost))
        left = None if cost is None else cost.seconds(steps_left(cell))
        rows.append((
            cell.name, state, "-" if left is None else duration(left), "-" if cost is None else gigabytes(cost.memory),
        ))  # fmt: skip
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        tell("  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip())
    for (key, algorithm), reason in refused.items():
        tell(f"{key.removeprefix('async:')} {algorithm} is refused: {reason}")
    if n_failed := list(states.values()).count(FAILED):
        tell(WAITING.format(n=n_failed))
    tell(sum_of(to_run, n_workers))


def steps_left(cell: Cell) -> int:
    """Environment steps that a cell has to go."""
    run = cell.run()
    return max(0, cell.task.t_max - (last_step(run) if run else 0))


def _costs(
    cells: Sequence[Cell], n_workers: int, seconds: float, tell: Callable[[str], None]
) -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], Cost]]:
    """((task, algorithm) -> why it is refused, (task, algorithm) -> what it costs)."""
    pairs = {(cell.task.key, cell.algorithm): cell for cell in reversed(cells)}
    refused, configs = {}, {}
    for pair, cell in pairs.items():
        try:
            configs[pair] = checked_config(cell)
        except ValueError as error:
            refused[pair] = " ".join(str(error).split())
    if not configs or not seconds:
        return refused, {}
    tell(f"Measuring {len(configs)} pairs of task and algorithm, {n_workers} at a time …")
    found: dict[tuple[str, str], Cost] = {}
    with ThreadPoolExecutor(n_workers) as threads:
        costs = threads.map(lambda pair: measure(pairs[pair], configs[pair], seconds), configs)
        for (key, algorithm), cost in zip(configs, costs):
            found[key, algorithm] = cost
            rate = "learning did not begin in time" if cost.rate is None else f"{cost.rate:,.0f} steps/s"
            tell(f"{key.removeprefix('async:')} {algorithm}: {rate}, {gigabytes(cost.memory)}")
    return refused, found


def sum_of(to_run: Sequence[tuple[Cell, Cost | None]], n_workers: int) -> str:
    """The last line: all that is to be run."""
    times = [cost.seconds(steps_left(cell)) for cell, cost in to_run if cost is not None]
    known = [each for each in times if each is not None]
    if not known:
        return UNKNOWN.format(n=len(to_run))
    at_once = sorted((cost.memory for _, cost in to_run if cost is not None), reverse=True)[:n_workers]
    wall = max(sum(known) / min(n_workers, len(known)), max(known))
    memory = f" and up to {gigabytes(sum(at_once))} of memory"
    memory += f"; {len(to_run) - len(known)} could not be measured" if len(known) < len(to_run) else ""
    return SUM.format(
        n=len(to_run), time=duration(sum(known)), wall=duration(wall), workers=n_workers, memory=memory
    )


def gigabytes(n_bytes: float) -> str:
    """For people: 1.4 GB."""
    return f"{n_bytes / 1e9:.1f} GB"
