"""The run's folder, as sacred's file storage lays it out, written so that no file is ever cut short."""

import json
import logging
import os
import warnings
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterable, Mapping

from filelock import FileLock

with warnings.catch_warnings():  # about a package that sacred itself imports
    warnings.filterwarnings("ignore", "pkg_resources is deprecated")
    from sacred.observers import FileStorageObserver
    from sacred.serializer import flatten

_log = logging.getLogger(__name__)


class RunFolder(FileStorageObserver):
    """EPyMARL's tree `<root>/sacred/<name>/<task>/<id>`; each json file is replaced whole.

    sacred gives an observer up after one failed write. Here a failed write is kept in mind and made good with
    the next heartbeat; `error` says whether the last one failed.

    Args:
        basedir: the folder that holds the runs' folders.
        resume: the folder of a run to go on with, instead of a new one.
        lock: of `registry.recorder.hold`, where that folder is held already.
    """

    def __init__(
        self, basedir: str | os.PathLike[str], resume: Path | None = None, lock: FileLock | None = None
    ):
        super().__init__(Path(basedir))
        self.error: OSError | None = None
        self.lock = lock
        self.is_resumed = resume is not None
        self._resume = resume
        self._metrics: dict[str, dict[str, list[Any]]] = {}

    def started_event(
        self,
        ex_info: Any,
        command: Any,
        host_info: Any,
        start_time: Any,
        config: Any,
        meta_info: Any,
        _id: Any,
    ) -> Any:
        """Make the folder (no two runs share one), or take up the one to resume."""
        if self._resume is None:
            return super().started_event(ex_info, command, host_info, start_time, config, meta_info, _id)
        self.dir = str(self._resume)
        before = json.loads((self._resume / "run.json").read_text(encoding="utf-8"))
        resumed = [*before.get("resumed", []), {"time": start_time.isoformat(), "host": dict(host_info)}]
        for ended in ("stop_time", "fail_trace"):
            before.pop(ended, None)
        self.run_entry = {**before, "status": "RUNNING", "resumed": resumed}
        self.config = config
        self.info = {}
        self.cout = ""
        self.cout_write_cursor = 0
        self.save_json(self.run_entry, "run.json")
        return self._resume.name

    def failed_event(self, fail_time: Any, fail_trace: Any) -> None:
        """Say so in run.json, if the run came so far that there is one."""
        if self.run_entry is not None:
            super().failed_event(fail_time, fail_trace)

    def interrupted_event(self, interrupt_time: Any, status: Any) -> None:
        """Say so in run.json, if the run came so far that there is one."""
        if self.run_entry is not None:
            super().interrupted_event(interrupt_time, status)

    def rebuild(self, records: Iterable[Mapping[str, Any]], info: dict[str, Any]) -> None:
        """Take metrics.json and sacred's `info` from the run's records, after they were rewound.

        Args:
            records: of `registry.recorder.read_records`.
            info: the run's `info`, changed in place.
        """
        self._metrics = {}
        info.clear()
        for record in records:
            if record["kind"] != "metric":
                continue
            name, value, t_env = record["name"], record["value"], record["t_env"]
            stamp = datetime.fromtimestamp(record["time"], timezone.utc).replace(tzinfo=None)
            self._add(name, [value], [t_env], [stamp.isoformat()])
            info.setdefault(name, []).append(value)
            info.setdefault(f"{name}_T", []).append(t_env)
        self.save_json(self._metrics, "metrics.json")

    def log_metrics(self, metrics_by_name: Mapping[str, Any], info: Any) -> None:
        """Add new values to metrics.json."""
        for name, new in metrics_by_name.items():
            self._add(name, new["values"], new["steps"], [stamp.isoformat() for stamp in new["timestamps"]])
        self.save_json(self._metrics, "metrics.json")

    def _add(self, name: str, values: list[Any], steps: list[Any], timestamps: list[Any]) -> None:
        entry = self._metrics.setdefault(name, {"values": [], "steps": [], "timestamps": []})
        entry["values"] += values
        entry["steps"] += steps
        entry["timestamps"] += timestamps

    def save_json(self, obj: Any, filename: str) -> None:
        """Replace one json file as a whole; the old one stays if the disk is full."""
        text = json.dumps(flatten(obj), sort_keys=True, indent=2)
        path = Path(str(self.dir)) / filename
        partial = path.with_name(filename + ".part")
        try:
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, path)
            self.error = None
        except OSError as error:
            if filename == "config.json" or self.error is None:
                _log.warning("%s: %s; it is tried again with the next heartbeat.", path, error)
            self.error = error
            partial.unlink(missing_ok=True)

    def save_cout(self) -> None:
        """Append what was printed since the last time."""
        try:
            super().save_cout()
        except OSError as error:
            self.error = error
