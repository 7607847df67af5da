"""A bundle with any bit flipped, or any number changed and signed anew, is refused, or is the same bundle."""

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.leaderboard.bundle.strict_json import canonical
from benchmarks.leaderboard.bundle.verification import table, verify
from tests.benchmarks.leaderboard.bundle.builders import (
    Files,
    edited,
    edited_line,
    files_of,
    folder_with,
    set_to,
)

ONE, TWO = (f"runs/async-tabular-relay/qmix/seed-{seed}" for seed in (1, 2))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_a_flipped_bit_of_any_file_is_refused(data: st.DataObject, right: Files, tmp_path: Path) -> None:
    name = data.draw(st.sampled_from(sorted(right)))
    at = data.draw(st.integers(0, len(right[name]) - 1))
    changed = bytearray(right[name])
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    found = verify(folder_with({**right, name: bytes(changed)}, tmp_path / "flipped", signed=False), 1)
    assert found.is_refused and found.tier == 0, (name, at)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_a_flipped_bit_of_the_zip_file_is_refused_or_changes_nothing(
    data: st.DataObject, right: Files, right_bundle: Path, tmp_path: Path
) -> None:
    packed = bytearray(right_bundle.read_bytes())
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "flipped.zip"
    path.write_bytes(packed)
    found = verify(path, 1)
    if not found.is_refused:
        assert found.tier == 1 and files_of(path) == right


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_a_changed_number_of_any_document_is_refused_whoever_signed_it(
    data: st.DataObject, right: Files, tmp_path: Path
) -> None:
    """Of those that tiers 1 and 2 can know about; made-up actions are not played here."""
    name = data.draw(st.sampled_from(["claims.json", f"{ONE}/tests.jsonl", f"{TWO}/evaluation.json"]))
    if name.endswith("jsonl"):
        line = data.draw(st.integers(0, 3))
        column = data.draw(st.sampled_from(["return", "seed"]))
        k = data.draw(st.integers(0, 3))

        def add_one(value: Any) -> None:
            value["episodes"][column][k] += 1

        files = edited_line(right, name, line, add_one)
        if column == "return" and line < 3:  # between the first and the last test only the best one can be checked
            return
    else:
        value = json.loads(right[name])
        places = dict(numbers(value))
        path = data.draw(st.sampled_from(list(places)))
        other = data.draw(st.integers(10, 99).filter(lambda number: number != places[path]))
        files = edited(right, name, set_to(*path, value=other))
        if path[-1] in FREE or path[0] == "config" and path[-1] == "seed":
            return
    found = verify(folder_with(files, tmp_path / "changed"), 2)
    assert found.is_refused, table(found)


FREE = ("checkpoint_interval", "learner_log_interval", "log_interval", "runner_log_interval", "save_model_interval",
        "threads")  # fmt: skip


def numbers(value: Any, path: tuple[Any, ...] = ()) -> Any:
    """(path, number) of the numbers of a document."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from numbers(below, (*path, name))
    elif isinstance(value, list):
        for k, below in enumerate(value):
            yield from numbers(below, (*path, k))
    elif type(value) in (int, float):
        yield path, value


def test_a_bundle_signed_anew_without_a_change_is_the_same_bundle(right: Files, tmp_path: Path) -> None:
    assert files_of(folder_with(right, tmp_path / "again")) == right
    assert canonical(json.loads(right["claims.json"])) == right["claims.json"]
