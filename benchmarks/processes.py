"""Runs as processes of their own: they end with who started them, and what they said is kept.

This file is also the little program in between (`python processes.py PARENT COMMAND…`): it asks the system to end it
with its parent, and becomes the command. It imports nothing of ours for that.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Callable, Sequence

__all__ = ["ROOT", "ended_by", "environment", "last_line", "run_process"]

ROOT = Path(__file__).resolve().parents[1]
LOOKED_AT = 65_536  # bytes of an output's end
HINTS = ("The full trace:",)  # printed below the line that says what is wrong
SAID_NOTHING = "it said nothing"
_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2), Linux


def environment() -> dict[str, str]:
    """Environment variables of a run: ours, on the embedded host, which alone can resume; one thread each."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EPYMARL_")}
    path = os.pathsep.join([str(ROOT), str(ROOT / "src"), *filter(None, [kept.get("PYTHONPATH")])])
    return {"OMP_NUM_THREADS": "1", **kept, "PYTHONPATH": path}


def run_process(command: Sequence[str], output: Path, lend: Sequence[int] = ()) -> int:
    """Run `command` to its end.

    It has a session of its own: Ctrl-C in a terminal reaches us alone. What interrupts us is passed on to it once, and
    its end is waited for. If we are killed, it is told by the system to end (Linux) in good order.

    Args:
        command: program and words.
        output: file that stdout and stderr are added to.
        lend: file descriptors that it inherits.

    Returns:
        its exit status; minus the signal's number if one killed it.

    Raises:
        BaseException: whatever interrupted us; the process has ended by then.
    """
    with output.open("ab") as file:
        process = subprocess.Popen(
            ending_with_us(command), cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=file,
            stderr=subprocess.STDOUT, start_new_session=True, pass_fds=tuple(lend),
        )  # fmt: skip
    return wait_for(process)


def wait_for(process: subprocess.Popen[bytes]) -> int:
    """The exit status of `process`; what interrupts us interrupts it, a second time kills it."""
    try:
        return process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)
        try:
            process.wait()
        except BaseException:
            process.kill()
            process.wait()
        raise


def ending_with_us(command: Sequence[str]) -> list[str]:
    """`command`, begun by the little program of this file."""
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(os.getpid()), *command]


def die_with_parent(parent: int, tell: Callable[[], None] = lambda: sys.exit(143)) -> None:
    """Have the system send SIGTERM when `parent` ends; on systems that cannot, nothing happens.

    Args:
        parent: its process number.
        tell: called if it has ended already.
    """
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != parent:
        tell()


def ended_by(status: int) -> str:
    """How a process ended: "exit status 1", or "killed by signal 9"."""
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"


def last_line(output: Path, since: int = 0) -> str:
    """The last thing that a process said: the end of its output behind byte `since`."""
    with output.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(since, size - LOOKED_AT))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line and not line.startswith(HINTS)), SAID_NOTHING)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
