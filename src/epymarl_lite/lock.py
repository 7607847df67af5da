"""One process for one run."""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from filelock import FileLock, Timeout

LOCK_FILE, OWNER_FILE = "training.lock", "training.pid"

HELD = (
    "{run_dir}: another process{owner} is working on this run. Wait for it or stop it; "
    "a run has one process at a time."
)


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Hold a run's folder. The lock is the operating system's and goes with the process, however that ends.

    Raises:
        ValueError: another process has it; one line naming that process.
    """
    run_dir = Path(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    lock, owner = FileLock(run_dir / LOCK_FILE), run_dir / OWNER_FILE
    try:
        lock.acquire(timeout=0)
    except Timeout:
        pid = owner.read_text() if owner.exists() else ""
        raise ValueError(HELD.format(run_dir=run_dir, owner=f" ({pid})" if pid else "")) from None
    try:
        owner.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()
