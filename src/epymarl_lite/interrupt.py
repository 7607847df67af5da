"""Ctrl-C and SIGTERM become a request that the training loop meets between two rollouts."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupted(Exception):
    """The run was asked to stop, has saved what it can, and may be resumed.

    Attributes:
        signum: the signal; the exit status of the command is 128 + signum.
    """

    def __init__(self, signum: int, saved: str = ""):
        self.signum = signum
        super().__init__(f"interrupted by {signal.Signals(signum).name}{'; ' + saved if saved else ''}")


class StopRequest:
    """Catches SIGINT and SIGTERM while it is entered; a second one stops at once.

    Attributes:
        signum: the first signal that came, or None.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                self._before[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None:
            raise Interrupted(signum)
        self.signum = signum
