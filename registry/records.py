"""Reading the durable record of one run: append-only lines that survive a kill at any byte.

`<run_dir>/records.jsonl` holds one JSON object a line; its last member is a checksum over what stands before
it. A line that was being written when the process died is dropped by the next reader. Beside it lies
`heartbeat.json`: who runs, and when it was last seen.
"""

import json
import socket
import time
import zlib
from pathlib import Path
from typing import Any, Iterator, Mapping

import psutil

RECORDS = "records.jsonl"
HEARTBEAT = "heartbeat.json"
STALE_S = 60.0  # six beats missed

RUNNING, COMPLETED, FAILED, INTERRUPTED, STALE = "RUNNING", "COMPLETED", "FAILED", "INTERRUPTED", "STALE"

DAMAGED = "{where}: line {line} is damaged (its checksum does not match). Restore the file from a copy."
NO_RECORD = "{path}: no such file. Name a run's folder, such as results/sacred/mvd/async-poac-1/1."


def encode(record: Mapping[str, Any]) -> bytes:
    """One line with its checksum and line feed."""
    body = json.dumps(record, separators=(", ", ": "), allow_nan=False)
    return f'{body[:-1]}, "crc": "{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def decode(line: bytes) -> dict[str, Any] | None:
    """The record of one line, or None where line feed, form or checksum are not whole."""
    head, mark, tail = line.rpartition(b', "crc": "')
    if not mark or not line.endswith(b'"}\n') or len(tail) != 11:
        return None
    if f"{zlib.crc32(head + b'}'):08x}".encode() != tail[:8]:
        return None
    record: dict[str, Any] = json.loads(head + b"}")
    return record


def lines(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """(offset behind the line, record or None where it is not whole) of every line."""
    offset = 0
    with open(path, "rb") as file:
        for line in file:
            offset += len(line)
            yield offset, decode(line)


def whole_length(path: Path) -> int:
    """Bytes of `path` up to the end of its last whole line.

    Raises:
        ValueError: a line before the last one is damaged.
    """
    good = 0
    damaged = 0
    for number, (offset, record) in enumerate(lines(path), start=1):
        if record is None:
            damaged = damaged or number
        elif damaged:
            raise ValueError(DAMAGED.format(where=path, line=damaged))
        else:
            good = offset
    return good


def read_records(run_dir: str | Path) -> list[dict[str, Any]]:
    """Every whole record of a run, in order; a line cut off by a kill is left out.

    Returns:
        dicts with "kind" ("metric", "test", "status" or "provenance"), "time" (unix seconds) and the kind's
        own fields. Records of older versions have no "provenance", and their tests no "decisions" and "wall_s".

    Raises:
        ValueError: there is no record file, or a line other than the last is damaged; one line.
    """
    path = Path(run_dir) / RECORDS
    if not path.is_file():
        raise ValueError(NO_RECORD.format(path=path))
    length = whole_length(path)
    records = [record for offset, record in lines(path) if record is not None and offset <= length]
    for record in records:
        if record["kind"] == "metric":
            record["value"] = _number(record["value"])
        elif record["kind"] == "test":
            record["episodes"] = [
                {name: _number(value) for name, value in episode.items()} for episode in record["episodes"]
            ]
    return records


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value


def _is_alive(beat: Mapping[str, Any], now: float) -> bool:
    if beat["machine"] != socket.gethostname():
        return bool(now - beat["time"] < STALE_S)
    try:
        started = psutil.Process(beat["pid"]).create_time()
    except psutil.NoSuchProcess:
        return False
    return abs(started - beat["pid_started"]) < 2.0


def run_status(run_dir: str | Path, now: float | None = None) -> str:
    """RUNNING, COMPLETED, FAILED, INTERRUPTED, or STALE for a run that died without saying so.

    A run is STALE when its last word is RUNNING and its process is gone (same machine), or its heartbeat is
    older than a minute (another machine).

    Raises:
        ValueError: `run_dir` holds no record.
    """
    said = [record["status"] for record in read_records(run_dir) if record["kind"] == "status"]
    last = str(said[-1]) if said else RUNNING
    if last != RUNNING:
        return last
    try:
        beat = json.loads((Path(run_dir) / HEARTBEAT).read_text())
    except (OSError, ValueError):
        return STALE
    return RUNNING if _is_alive(beat, time.time() if now is None else now) else STALE
