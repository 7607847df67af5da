"""How far a run is: one live line on a terminal, plain lines now and then elsewhere.

sacred redirects the file descriptors 1 and 2 while a run lasts. `remember_terminal()` is called before
that and keeps a descriptor of the terminal itself, so the live line reaches neither sacred's pipe nor
`cout.txt`.
"""

import logging
import os
import sys
import time
from collections import deque
from typing import Any, Callable, TextIO

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

LIVE_EVERY_S = 0.25
PLAIN_EVERY_S, PLAIN_EVERY_PART, PLAIN_GAP_S = 30.0, 0.05, 2.0
_SPEED_OVER_S = 30.0

_terminal: TextIO | None = None


def remember_terminal() -> TextIO | None:
    """Keep a stream of our own to the terminal behind stdout or stderr, if there is one."""
    global _terminal
    _terminal = None
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and stream.isatty():
                _terminal = os.fdopen(os.dup(stream.fileno()), "w", encoding="utf-8", errors="replace")
                break
        except (OSError, ValueError):  # no descriptor, or closed
            continue
    return _terminal


def terminal() -> TextIO | None:
    """What `remember_terminal` found."""
    return _terminal


class Progress:
    """Shows steps, speed, time left, and the last test results.

    Args:
        t_max: steps of the whole run.
        log: logger for plain lines; lines it prints push the live line down.
        stream: terminal for the live line; None writes plain lines.
        enabled: False shows nothing.
        clock: seconds; for tests.
    """

    def __init__(
        self,
        t_max: int,
        log: logging.Logger,
        stream: TextIO | None = None,
        enabled: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.t_max = max(1, t_max)
        self.enabled = enabled
        self._log, self._clock = log, clock
        self._test = ""
        self._points: deque[tuple[float, int]] = deque()
        self._shown_s, self._shown_t = -float("inf"), 0
        self._console: Console | None = None
        if enabled and stream is not None:
            self._console = Console(file=stream, force_terminal=True, highlight=False)
            self._clearer = _ClearLine(self._clear)
            logging.getLogger().handlers.insert(0, self._clearer)

    def start(self, t_env: int) -> None:
        """Begin to measure at step `t_env`."""
        self._points.clear()
        self._points.append((self._clock(), t_env))
        self._shown_s, self._shown_t = self._clock(), t_env

    def test(self, win_rate: float | None, mean_return: float) -> None:
        """Take note of the last test cycle; win_rate is None where the task knows no win."""
        won = "" if win_rate is None else f"won {win_rate:.2f}, "
        self._test = f"  test: {won}return {mean_return:.2f}"

    def update(self, t_env: int) -> None:
        """Step `t_env` is reached; shows it if it is time to."""
        if not self.enabled:
            return
        now = self._clock()
        self._points.append((now, t_env))
        while len(self._points) > 2 and now - self._points[0][0] > _SPEED_OVER_S:
            self._points.popleft()
        since = now - self._shown_s
        if self._console is not None:
            if since >= LIVE_EVERY_S:
                self._draw(t_env)
                self._shown_s = now
            return
        enough = (t_env - self._shown_t) / self.t_max >= PLAIN_EVERY_PART and since >= PLAIN_GAP_S
        if enough or since >= PLAIN_EVERY_S:
            self._log.info("%s", self.line(t_env))
            self._shown_s, self._shown_t = now, t_env

    def line(self, t_env: int, width: int | None = None) -> str:
        """The line for step `t_env`; shortened, and cut off at last, where it is wider than `width` columns."""
        (first_s, first_t), (last_s, last_t) = self._points[0], self._points[-1]
        speed = (last_t - first_t) / (last_s - first_s) if last_s > first_s else 0.0
        left = _duration(max(0, self.t_max - t_env) / speed) if speed > 0 else "?"
        share = min(100, 100 * t_env // self.t_max)
        line = f"{t_env:,}/{self.t_max:,} steps ({share}%)  {speed:,.0f} steps/s  ETA {left}{self._test}"
        if width is not None and len(line) > width:
            line = line.replace(" steps (", " (").replace("  test: ", "  ")
        return line[:width]

    def close(self) -> None:
        """Take the live line away."""
        if self._console is not None:
            self._clear()
            logging.getLogger().removeHandler(self._clearer)
            self._console = None

    def _draw(self, t_env: int) -> None:
        self._clear()
        if self._console is not None:
            width = max(1, self._console.width - 1)
            self._console.print(Text(self.line(t_env, width), style="cyan"), end="", soft_wrap=True)
            self._console.file.flush()

    def _clear(self) -> None:
        if self._console is not None:
            self._console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))
            self._console.file.flush()


class _ClearLine(logging.Handler):
    """Clears the live line before another handler prints."""

    def __init__(self, clear: Callable[[], None]):
        super().__init__()
        self._clear_line = clear

    def emit(self, record: logging.LogRecord) -> Any:
        """Clear; the record itself is for the handlers after this one."""
        self._clear_line()


def _duration(seconds: float) -> str:
    """12345.6 -> '3:25:46', with days in front where there are any."""
    minutes, s = divmod(int(round(seconds)), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    return (f"{days}d " if days else "") + f"{h}:{m:02d}:{s:02d}"
