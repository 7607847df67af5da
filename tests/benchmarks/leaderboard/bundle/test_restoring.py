"""`restore`: a bundle becomes the results folder again that it was made of."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.leaderboard.__main__ import main
from benchmarks.leaderboard.bundle import restoring
from benchmarks.leaderboard.bundle.refusal import Refused
from benchmarks.leaderboard.bundle.restoring import Restored, restore
from benchmarks.leaderboard.bundle.verification import verify
from benchmarks.leaderboard.cells import FINISHED, REFUSED, Book, write_book
from benchmarks.leaderboard.queue import open_queue
from benchmarks.leaderboard.report.data import report_data
from benchmarks.leaderboard.results import read_results
from registry.records import COMPLETED, run_status
from tests.benchmarks.leaderboard.bundle.builders import (
    TASK, Files, edited, folder_with, small_protocol, submit, write_results,
)  # fmt: skip


def restored(bundle: Path, results: Path) -> Restored:
    """`restore` after the tiers that cost little."""
    return restore(bundle, verify(bundle, 2), results)


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("which", ["right_bundle", "real_bundle"])
def test_what_submit_makes_of_it_is_the_same_bundle(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bundle: Path = request.getfixturevalue(which)
    done = restored(bundle, tmp_path / "results")
    assert len(done.written) == len(open_queue(tmp_path / "results").cells) and not done.left_out
    assert submit(tmp_path / "results", tmp_path / "again.zip").read_bytes() == bundle.read_bytes()


def test_failures_and_refusals_come_back_with_their_reasons(tmp_path: Path) -> None:
    states = {(TASK, "qmix", 2): "failed", (TASK, "vdn", 1): "not run"}
    results = write_results(tmp_path / "results", states=states)
    refused = Book(TASK, "vdn", 1, REFUSED, "mvd_order=3: there are 2 agents.", 1, None, "worker", 5.0, 6.0)
    folder = results / "cells" / "async-tabular-relay" / "vdn" / "seed-1"
    folder.mkdir(parents=True)
    write_book(folder, refused)
    bundle = submit(results, tmp_path / "bundle.zip")
    restored(bundle, tmp_path / "back")
    assert submit(tmp_path / "back", tmp_path / "again.zip").read_bytes() == bundle.read_bytes()
    own, told = read_results(results).runs, read_results(tmp_path / "back").runs
    assert [(run.state, run.reason) for run in told] == [(run.state, run.reason) for run in own]


def test_it_reports_as_the_folder_did(real_results: Path, real_bundle: Path, tmp_path: Path) -> None:
    restored(real_bundle, tmp_path / "results")
    own, told = (report_data(read_results(folder)) for folder in (real_results, tmp_path / "results"))
    assert told["rows"] == own["rows"] and told["aggregates"] == own["aggregates"]


def test_runs_that_had_not_ended_are_begun_anew(tmp_path: Path) -> None:
    states = {(TASK, "qmix", 2): "running", (TASK, "vdn", 1): "not run"}
    results = write_results(tmp_path / "results", states=states)
    done = restored(submit(results, tmp_path / "bundle.zip", partial=True), tmp_path / "back")
    assert done.left_out == (f"{TASK}, qmix, seed 2",) and len(done.written) == 2
    queue, left = open_queue(tmp_path / "back"), set()
    while (claim := queue.take("worker", left)) is not None:
        left.add(claim.cell.folder)
        assert claim.book.attempts == 1 and claim.cell.run() is None
        claim.release()
    assert {(folder.parent.name, folder.name) for folder in left} == {("qmix", "seed-2"), ("vdn", "seed-1")}


def test_finished_runs_say_so(real_bundle: Path, tmp_path: Path) -> None:
    restored(real_bundle, tmp_path / "results")
    books = list((tmp_path / "results").glob("cells/*/*/*/cell.json"))
    assert len(books) == 2
    for book in books:
        said = json.loads(book.read_text())
        assert said["state"] == FINISHED and run_status(book.parent / said["run"]) == COMPLETED


def test_it_joins_a_folder_that_holds_other_cells(right_bundle: Path, right_results: Path, tmp_path: Path) -> None:
    states = {(TASK, algorithm, 1): "not run" for algorithm in ("qmix", "vdn")}
    results = write_results(tmp_path / "results", states=states)
    done = restored(right_bundle, results)
    assert done.written == (f"{TASK}, qmix, seed 1", f"{TASK}, vdn, seed 1") and len(done.there) == 2
    assert submit(results, tmp_path / "again.zip").read_bytes() == right_bundle.read_bytes()


def test_one_that_was_killed_goes_on(
    right_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, rename, renamed = tmp_path / "results", os.rename, []

    def third_fails(old: Any, new: Any) -> None:
        renamed.append(new)
        if len(renamed) == 3:
            raise OSError(28, "No space left on device")
        rename(old, new)

    monkeypatch.setattr(restoring.os, "rename", third_fails)
    with pytest.raises(OSError, match="No space left"):
        restored(right_bundle, results)
    monkeypatch.undo()
    assert [path.name for path in results.iterdir() if path.name.startswith(".restore")] == []
    assert len(restored(right_bundle, results).there) == 2
    assert submit(results, tmp_path / "again.zip").read_bytes() == right_bundle.read_bytes()


def test_another_run_of_a_cell_is_not_written_over(right_bundle: Path, tmp_path: Path) -> None:
    results = write_results(tmp_path / "results", states={(TASK, "qmix", 1): "not run"})
    records = next(results.glob("cells/*/vdn/seed-2/sacred/*/*/*/records.jsonl"))
    records.write_bytes(b"".join(records.read_bytes().splitlines(keepends=True)[:-1]))  # one test fewer
    before = content(results)
    with pytest.raises(Refused, match=f"{TASK}, vdn, seed 2 was begun in .* and is not this run"):
        restored(right_bundle, results)
    assert content(results) == before


def test_a_cell_that_is_being_claimed_is_not_written_over(right_bundle: Path, tmp_path: Path) -> None:
    results = write_results(tmp_path / "results", states={(TASK, "qmix", 1): "not run"})
    folder = results / "cells" / "async-tabular-relay" / "qmix" / "seed-1"
    folder.mkdir(parents=True)
    (folder / "claim.lock").touch()
    with pytest.raises(Refused, match=f"{TASK}, qmix, seed 1 was begun"):
        restored(right_bundle, results)


def test_the_folder_of_another_protocol_is_refused(right_bundle: Path, tmp_path: Path) -> None:
    results = write_results(tmp_path / "results", small_protocol(seeds=(1, 2, 3)))
    before = content(results)
    with pytest.raises(Refused, match="is the folder of the protocol .* Name another --results"):
        restored(right_bundle, results)
    assert content(results) == before


def test_a_forged_bundle_leaves_nothing(right: Files, tmp_path: Path) -> None:
    def better(claims: Any) -> None:
        claims["rows"][0]["final"]["mean"] += 1.0

    bundle = folder_with(edited(right, "claims.json", better), tmp_path / "bundle")
    with pytest.raises(Refused, match="did not pass tier 2"):
        restored(bundle, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_one_that_was_changed_after_its_verification_leaves_nothing(
    right: Files, tmp_path: Path, right_bundle: Path
) -> None:
    found = verify(right_bundle, 2)
    bundle = folder_with(edited(right, "bundle.json", lambda about: about.update(partial=True)), tmp_path / "bundle")
    with pytest.raises(Refused, match="was changed after it was verified"):
        restore(bundle, found, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_the_command(right_bundle: Path, tmp_path: Path) -> None:
    words = ["restore", str(right_bundle), "--results", str(tmp_path / "results")]
    for written, there in ((4, 0), (0, 4)):
        said = CliRunner().invoke(main, words)
        assert said.exit_code == 0, said.output
        assert f"{written} cells written, {there} were there already." in said.output
    gone = CliRunner().invoke(main, ["restore", str(tmp_path / "none.zip"), "--results", "r"])
    assert gone.exit_code == 2 and gone.output.startswith("restore: ") and gone.output.count("\n") == 1
