"""The live line reaches the terminal, and only the terminal."""

import json
import logging
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path
from unittest import mock

import pytest

from epymarl_lite import progress
from epymarl_lite.progress import Progress, remember_terminal

ROOT = Path(__file__).resolve().parents[2]


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


def a_progress(t_max=1000, **options):
    clock = Clock()
    shown = Progress(t_max, logging.getLogger("progress"), clock=clock, **options)
    shown.start(0)
    return shown, clock


def test_the_line_says_steps_speed_time_left_and_the_last_test():
    shown, clock = a_progress()
    clock.now = 4.0
    shown.update(100)
    assert shown.line(100) == "100/1,000 steps (10%)  25 steps/s  ETA 0:00:36"
    shown.test(0.25, -1.5)
    assert shown.line(100).endswith("ETA 0:00:36  test: won 0.25, return -1.50")
    shown.test(None, 2.0)
    assert shown.line(100).endswith("test: return 2.00")
    assert shown.line(100, width=40) == "100/1,000 (10%)  25 steps/s  ETA 0:00:36"
    assert progress._duration(2 * 86400 + 3661) == "2d 1:01:01"


def test_without_a_terminal_plain_lines_come_now_and_then(caplog):
    caplog.set_level(logging.INFO)
    shown, clock = a_progress(t_max=10_000)
    for second in range(1, 101):  # 10 steps a second: 5 percent take 50 s, so every 30 s decides
        clock.now = float(second)
        shown.update(10 * second)
    assert [record.getMessage().split()[0] for record in caplog.records] == [
        "300/10,000",
        "600/10,000",
        "900/10,000",
    ]
    caplog.clear()
    shown, clock = a_progress(t_max=1000)
    for second in range(1, 11):  # 100 steps a second: 5 percent take half a second, the gap of 2 s decides
        clock.now = float(second)
        shown.update(100 * second)
    assert len(caplog.records) == 5


def test_switched_off_it_says_nothing(caplog):
    caplog.set_level(logging.INFO)
    shown, clock = a_progress(enabled=False)
    clock.now = 100.0
    shown.update(500)
    shown.close()
    assert not caplog.records


def test_no_terminal_is_remembered_where_there_is_none():
    with (
        open(os.devnull, "w") as nowhere,
        mock.patch.object(sys, "stdout", None),
        mock.patch.object(sys, "stderr", nowhere),
    ):
        assert remember_terminal() is None and progress.terminal() is None


def run_in_terminal(script, captured):
    """Run python code whose stdout and stderr are a terminal. Returns what the terminal got."""
    ours, theirs = pty.openpty()
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(captured)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "120", "OMP_NUM_THREADS": "1"},
    )
    os.close(theirs)
    chunks = []

    def read():
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:
                return
            if not chunk:
                return
            chunks.append(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    assert process.wait(timeout=120) == 0, b"".join(chunks).decode()
    reader.join(timeout=10)
    os.close(ours)
    return b"".join(chunks).decode()


SCRIPT = """
import json, logging, sys, time
from pathlib import Path
from sacred import SETTINGS, Experiment
from sacred.observers import FileStorageObserver
from epymarl_lite import progress
from epymarl_lite.run import run
from tests.epymarl_lite import fakes

SETTINGS["CAPTURE_MODE"] = "fd"
fakes.register()
progress.remember_terminal()
progress.LIVE_EVERY_S = 0.0
logging.basicConfig(level=logging.INFO, format="%(message)s")
ex = Experiment("line", save_git_info=False, interactive=True)
ex.observers.append(FileStorageObserver(sys.argv[1]))
ex.add_config(fakes.config(t_max=300, progress=True, checkpoint_interval=0))

@ex.main
def main(_run, _config, _log):
    run(_run, dict(_config), _log)

ex.run()
"""


@pytest.mark.slow
def test_under_sacred_the_live_line_reaches_the_terminal_and_not_cout(tmp_path):
    """The whole host under sacred with captured descriptors, its output a pseudo-terminal."""
    seen = run_in_terminal(SCRIPT, tmp_path)
    cout = (tmp_path / "1" / "cout.txt").read_text()
    live = re.findall(r"\d+/300(?: steps)? \(\d+%\)  [\d,]+ steps/s  ETA [^ ]+", seen)
    assert len(live) > 10 and "\x1b[2K" in seen
    assert any("won" in line for line in seen.split("\r"))
    assert "Beginning training" in cout and "Finished Training" in seen
    assert "steps/s" not in cout and "\x1b[2K" not in cout
    info = json.loads((tmp_path / "1" / "info.json").read_text())
    assert len(info["test_return_mean"]) == len(info["test_return_mean_T"]) == 3
    assert all(type(value) is float for value in info["loss"])
    assert json.loads((tmp_path / "1" / "metrics.json").read_text())["loss"]["values"] == info["loss"]


def test_a_log_line_clears_the_live_line_first(tmp_path):
    """Otherwise the two would share a row."""
    with (tmp_path / "terminal").open("w+", newline="") as stream:
        shown, clock = a_progress(stream=stream)
        clock.now = 1.0
        shown.update(10)
        position = stream.tell()
        logging.getLogger("anything").warning("a line")
        stream.seek(position)
        assert stream.read() == "\r\x1b[2K"
        shown.close()
        before = stream.tell()
        logging.getLogger("anything").warning("a line")
        assert stream.tell() == before
