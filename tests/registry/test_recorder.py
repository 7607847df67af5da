"""The record survives a kill at any byte, a full disk, and a second process."""

import json
import math
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import recorder as module
from registry.recorder import Recorder
from registry.records import HEARTBEAT, RECORDS, STALE, read_records, run_status

EPISODES = [{"seed": 2**63 + 1, "return": 1.5, "length": 7, "battle_won": 1.0}]


def write_some(run_dir):
    with Recorder(run_dir) as recorder:
        recorder.status("RUNNING", host="embedded")
        for t in range(5):
            recorder.metric("loss", 0.1 * t, t)
        recorder.test(5, EPISODES)
        recorder.status("COMPLETED")


def facts(records):
    return [{name: value for name, value in record.items() if name != "time"} for record in records]


def test_what_is_written_is_read_back(tmp_path):
    write_some(tmp_path)
    kinds = [record["kind"] for record in read_records(tmp_path)]
    assert ["status", *["metric"] * 5, "test", "status"] == kinds
    assert EPISODES == read_records(tmp_path)[6]["episodes"]
    assert [0.0, 0.1, 0.2, 0.1 * 3, 0.4] == [record["value"] for record in read_records(tmp_path)[1:6]]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    write_some(folder)
    return (folder / RECORDS).read_bytes(), read_records(folder)


@given(data=st.data())
def test_a_kill_at_any_byte_leaves_the_lines_before_it_and_writing_goes_on(data, written, tmp_path_factory):
    content, records = written
    cut = data.draw(st.integers(0, len(content)))
    folder = tmp_path_factory.mktemp("cut")
    (folder / RECORDS).write_bytes(content[:cut])
    n_whole = content[:cut].count(b"\n")
    assert facts(records[:n_whole]) == facts(read_records(folder))
    with Recorder(folder, beat_s=60) as recorder:
        recorder.metric("after", 1.0, 9)
    read = read_records(folder)
    assert facts(records[:n_whole]) == facts(read[:-1])
    assert "after" == read[-1]["name"]


@given(data=st.data())
def test_a_flipped_bit_is_never_read_as_a_value(data, written, tmp_path_factory):
    content, records = written
    at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    folder = tmp_path_factory.mktemp("flipped")
    flipped = bytearray(content)
    flipped[at] ^= 1 << bit
    (folder / RECORDS).write_bytes(bytes(flipped))
    try:
        read = read_records(folder)
    except ValueError as error:
        assert RECORDS in str(error) and "damaged" in str(error)
    else:  # in the last line it looks like a kill
        assert facts(records[:-1]) == facts(read)


def test_rewinding_forgets_what_came_after(tmp_path):
    with Recorder(tmp_path) as recorder:
        recorder.metric("loss", 1.0, 1)
        position = recorder.position()
        recorder.metric("loss", 2.0, 2)
        called = []
        recorder.on_rewind = lambda: called.append(len(read_records(tmp_path)))
        recorder.rewind(position)
        recorder.metric("loss", 3.0, 2)
        with pytest.raises(ValueError, match="position 5 is not the end of one of its 2 lines"):
            recorder.rewind(5)
    assert [1] == called
    assert [(1.0, 1), (3.0, 2)] == [(record["value"], record["t_env"]) for record in read_records(tmp_path)]


def test_numbers_that_json_lacks_come_back(tmp_path):
    with Recorder(tmp_path) as recorder:
        recorder.metric("a", float("nan"), 0)
        recorder.metric("b", float("-inf"), 0)
    a, b = read_records(tmp_path)
    assert math.isnan(a["value"]) and -math.inf == b["value"]
    for line in (tmp_path / RECORDS).read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_second_process_refuses(tmp_path):
    with Recorder(tmp_path):
        code = f"from registry.recorder import Recorder; Recorder({str(tmp_path)!r})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "another process is writing this run" in done.stderr.splitlines()[-1]


def test_one_failed_write_is_made_good(tmp_path, monkeypatch):
    fail_writes(monkeypatch, times=1)
    with Recorder(tmp_path) as recorder:
        recorder.metric("loss", 1.0, 1)
        recorder.metric("loss", 2.0, 2)
    assert [1.0, 2.0] == [record["value"] for record in read_records(tmp_path)]


def test_a_full_disk_is_an_error_and_the_record_stays_whole(tmp_path, monkeypatch):
    with Recorder(tmp_path) as recorder:
        recorder.metric("loss", 1.0, 1)
        fail_writes(monkeypatch, times=100)
        with pytest.raises(OSError, match="the record could not be written .*No space left"):
            recorder.metric("loss", 2.0, 2)
        monkeypatch.undo()
        assert (tmp_path / RECORDS).read_bytes().endswith(b"\n")
    assert [1.0] == [record["value"] for record in read_records(tmp_path)]


def fail_writes(monkeypatch, times):
    """The next writes put half a line down and then find the disk full."""
    write, left = os.write, [times]

    def failing(fd, content):
        if left[0]:
            left[0] -= 1
            write(fd, content[: len(content) // 2])
            raise OSError(28, "No space left on device")
        return write(fd, content)

    monkeypatch.setattr(module.os, "write", failing)
    monkeypatch.setattr(module, "PAUSE_S", 0.0)


def test_status_tells_the_last_word(tmp_path):
    with Recorder(tmp_path) as recorder:
        recorder.status("RUNNING")
        assert "RUNNING" == run_status(tmp_path)
        recorder.status("FAILED", error="x")
    assert "FAILED" == run_status(tmp_path)


def test_a_run_whose_process_is_gone_is_stale(tmp_path):
    code = f"""
import os
from registry.recorder import Recorder
recorder = Recorder({str(tmp_path)!r})
recorder.status("RUNNING")
os._exit(1)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert STALE == run_status(tmp_path)


def test_a_run_whose_process_number_was_given_to_another_is_stale(tmp_path):
    with Recorder(tmp_path) as recorder:
        recorder.status("RUNNING")
    beat = json.loads((tmp_path / HEARTBEAT).read_text())
    (tmp_path / HEARTBEAT).write_text(json.dumps({**beat, "pid_started": beat["pid_started"] - 100}))
    assert STALE == run_status(tmp_path)


def test_a_run_on_another_machine_is_stale_after_a_minute(tmp_path):
    with Recorder(tmp_path) as recorder:
        recorder.status("RUNNING")
        beat = json.loads((tmp_path / HEARTBEAT).read_text())
    (tmp_path / HEARTBEAT).write_text(json.dumps({**beat, "machine": "elsewhere"}))
    now = time.time()
    assert "RUNNING" == run_status(tmp_path, now=now + 30)
    assert STALE == run_status(tmp_path, now=now + 90)


def test_a_folder_without_record_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="records.jsonl: no such file"):
        read_records(tmp_path)
