"""The command with a stopwatch: `python -m benchmarks.speed.marked_run MARKS --config=mvd with …`.

Runs what `python src/main.py --config=mvd with …` runs, on the host that the environment variables choose,
and writes to the file MARKS as JSON when each training rollout and each update ended, in seconds since the
epoch:
{"rollouts": [[s, training steps so far], …], "updates": [[s, processor seconds of the process so far], …]}.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
LINES_SHOWN = 12  # of the output of a run that failed


class Marks(NamedTuple):
    """When things happened in a run."""

    started_s: float  # the process was asked for
    rollouts: list[tuple[float, int]]  # (end in seconds since the epoch, training steps so far)
    updates: list[tuple[float, float]]  # (end, processor seconds of the process so far)

    def steps_per_s(self, after_steps: int) -> float:
        """Training steps a second from the first rollout that ends past `after_steps` to the last one.

        Work on the last rollout that the mark does not cover is work on the first one that it does.
        """
        timed = [(s, t) for s, t in self.rollouts if t >= after_steps]
        (first_s, first_t), (last_s, last_t) = timed[0], timed[-1]
        return (last_t - first_t) / (last_s - first_s)


class MarkedRun:
    """A run in a process of its own; `finish` waits for it.

    Args:
        host: embedded, upstream.
        folder: for results.
        arguments: the command line behind `python src/main.py`.
        environ: environment variables on top of ours.
    """

    def __init__(self, host: str, folder: Path, arguments: list[str], **environ: str):
        self._marks = Path(tempfile.mkstemp(suffix=".json", dir=folder)[1])
        command = [sys.executable, "-m", "benchmarks.speed.marked_run", str(self._marks), *arguments]
        self.started_s = time.time()
        self._process = subprocess.Popen(
            [*command, f"local_results_path={folder}"],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "EPYMARL_HOST": host, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self) -> Marks:
        """What the run noted.

        Raises:
            RuntimeError: it failed; with the end of its output.
        """
        output, _ = self._process.communicate()
        if self._process.returncode:
            end = "\n".join(output.splitlines()[-LINES_SHOWN:])
            raise RuntimeError(f"the run ended with status {self._process.returncode}:\n{end}")
        noted = json.loads(self._marks.read_text())
        rollouts = [(float(s), int(t)) for s, t in noted["rollouts"]]
        updates = [(float(s), float(cpu_s)) for s, cpu_s in noted["updates"]]
        return Marks(self.started_s, rollouts, updates)


def main(path: str, arguments: list[str]) -> int:
    """Run the command line and write the marks."""
    sys.path.insert(0, str(ROOT / "src"))
    from registry.hosts import select
    from registry.launch import main as command

    rollouts: list[tuple[float, int]] = []
    updates: list[tuple[float, float]] = []

    def note_rollout(runner: Any, keywords: dict[str, Any]) -> None:
        if not keywords.get("test_mode"):
            rollouts.append((time.time(), int(runner.t_env)))

    def note_update(learner: Any, keywords: dict[str, Any]) -> None:
        updates.append((time.time(), time.process_time()))

    parts = select.choose().parts()  # one object for host and process: the command gets the same tables
    for name, build in parts.runners.items():
        parts.runners[name] = _noting(build, "run", note_rollout)
    for name, build in parts.learners.items():
        parts.learners[name] = _noting(build, "train", note_update)
    status = command(["src/main.py", *arguments])
    Path(path).write_text(json.dumps({"rollouts": rollouts, "updates": updates}))
    return status


def _noting(
    build: Callable[..., Any], method: str, note: Callable[[Any, dict[str, Any]], None]
) -> Callable[..., Any]:
    """`build`, whose objects call `note` at the end of each call of `method`."""

    def built(*args: Any, **kwargs: Any) -> Any:
        part = build(*args, **kwargs)
        inner = getattr(part, method)

        def noted(*given: Any, **keywords: Any) -> Any:
            result = inner(*given, **keywords)
            note(part, keywords)
            return result

        setattr(part, method, noted)
        return part

    return built


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
