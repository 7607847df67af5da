"""Options of tasks in protocols and bundles: lists that are written as texts, and tasks that are code of others."""

import json
from pathlib import Path

import pytest

from benchmarks.leaderboard import protocol as protocols
from benchmarks.leaderboard.bundle.expected import config_differences, expected_config
from benchmarks.leaderboard.bundle.refusal import Refused
from benchmarks.leaderboard.bundle.verification import verify
from registry.provenance import resolved
from tests.benchmarks.leaderboard.bundle.builders import (
    TASK, Files, edited, folder_with, small_protocol, submit, write_results,
)  # fmt: skip

SMAC = "async:smac-2s_vs_1sc"
FOREIGN = "async:pettingzoo-strangers"


def test_a_list_that_a_protocol_writes_as_a_text_is_what_runs_record() -> None:
    """YAML protocols hold no lists in settings; sacred makes a list of 2,1, and records that."""
    protocol = small_protocol(tasks={SMAC: 300}, settings={"env_args.durations": "2,1"})
    (task,) = protocol.tasks
    expected = expected_config(protocol, task, "qmix", 1)
    assert list(expected["env_args"]["durations"]) == [2, 1]
    given = resolved({**expected, "env_args": {**expected["env_args"], "durations": [2, 1]}})
    assert list(config_differences(given, expected)) == []
    other = resolved({**expected, "env_args": {**expected["env_args"], "durations": [1, 2]}})
    assert [name for name, _, _ in config_differences(other, expected)] == ["env_args.durations"]


def test_a_task_of_others_is_refused_and_its_module_is_not_imported(
    right: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "strangers.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    theirs = protocols.as_dict(small_protocol(tasks={FOREIGN: 300}))
    files = {name.replace("tabular-relay", FOREIGN[6:]): data.replace(TASK.encode(), FOREIGN.encode())
             for name, data in right.items()}  # fmt: skip
    files = edited(files, "bundle.json", lambda about: about.update(protocol=json.loads(json.dumps(theirs))))
    (step,) = [step for step in verify(folder_with(files, tmp_path / "bundle")).steps if step.state == "REFUSED"]
    assert step.tier == 1 and step.found[0].startswith(f"{FOREIGN}: a task of others.")
    assert not (tmp_path / "imported").exists()


def test_results_on_a_task_of_others_are_not_packed(tmp_path: Path) -> None:
    key = "async:pettingzoo-example"
    results = write_results(tmp_path / "results", small_protocol(tasks={key: 300}))
    with pytest.raises(Refused, match=f"{key}: a task of others"):
        submit(results, tmp_path / "bundle.zip")
    assert not (tmp_path / "bundle.zip").exists()
