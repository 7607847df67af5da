"""The run's folder: one each, never cut short, rebuilt from the record."""

import datetime
import json
import threading
from pathlib import Path

from registry.observer import RunFolder

NOW = datetime.datetime(2026, 1, 1)


def start(observer, run_id=None):
    info = {"sources": [], "base_dir": "."}
    return observer.started_event(info, "train", {}, NOW, {"lr": 1}, {}, run_id)


def values(*numbers):
    return {"loss": {"values": list(numbers), "steps": list(numbers), "timestamps": [NOW] * len(numbers)}}


def test_eight_starts_at_once_get_eight_folders(tmp_path):
    observers = [RunFolder(tmp_path) for _ in range(8)]
    barrier = threading.Barrier(8)

    def begin(observer):
        barrier.wait()
        start(observer)

    threads = [threading.Thread(target=begin, args=(observer,)) for observer in observers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {str(number) for number in range(1, 9)} == {Path(observer.dir).name for observer in observers}


def test_a_failed_write_keeps_the_old_file_and_is_made_good(tmp_path, monkeypatch):
    observer = RunFolder(tmp_path)
    start(observer)
    observer.log_metrics(values(1.0), {})
    file = Path(observer.dir) / "metrics.json"
    before = file.read_bytes()
    write_text = Path.write_text

    def full(path, *args, **kwargs):
        write_text(path, "{", encoding="utf-8")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    observer.log_metrics(values(2.0), {})
    assert before == file.read_bytes()
    assert 28 == observer.error.errno
    monkeypatch.undo()
    observer.log_metrics(values(3.0), {})
    assert observer.error is None
    assert [1.0, 2.0, 3.0] == json.loads(file.read_text())["loss"]["values"]
    assert [] == list(Path(observer.dir).glob("*.part"))


def test_a_resumed_run_goes_on_in_its_folder(tmp_path):
    first = RunFolder(tmp_path)
    start(first)
    first.cout = "before\n"
    first.save_cout()
    first.log_metrics(values(1.0, 2.0), {})

    second = RunFolder(tmp_path, resume=Path(first.dir))
    assert "1" == start(second)
    info = {"loss": [1.0, 2.0], "loss_T": [1, 2], "stale": [0]}
    second.rebuild([{"kind": "metric", "name": "loss", "value": 1.0, "t_env": 1, "time": 0.0}], info)
    second.log_metrics(values(5.0), {})
    second.cout = "after\n"
    second.save_cout()
    assert {"loss": [1.0], "loss_T": [1]} == info
    kept = json.loads((tmp_path / "1" / "metrics.json").read_text())["loss"]
    assert [1.0, 5.0] == kept["values"]
    assert "before\nafter\n" == (tmp_path / "1" / "cout.txt").read_text()
    entry = json.loads((tmp_path / "1" / "run.json").read_text())
    assert "RUNNING" == entry["status"] and 1 == len(entry["resumed"])
    assert ["1"] == [path.name for path in tmp_path.iterdir() if path.is_dir() and path.name.isdigit()]
