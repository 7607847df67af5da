"""`submit`: what goes into a bundle, what does not, and that it reads as the results folder does."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.leaderboard.bundle import packing, verification
from benchmarks.leaderboard.bundle.archive import open_archive
from benchmarks.leaderboard.bundle.forms import check_forms
from benchmarks.leaderboard.bundle.limits import LIMITS
from benchmarks.leaderboard.bundle.manifest import open_files
from benchmarks.leaderboard.bundle.packing import Submission, pack
from benchmarks.leaderboard.bundle.reading import bundle_results
from benchmarks.leaderboard.bundle.refusal import Refused
from benchmarks.leaderboard.bundle.verification import table, verify
from benchmarks.leaderboard.report.data import report_data
from benchmarks.leaderboard.results import Results, read_results
from tests.benchmarks.leaderboard.bundle.builders import TASK, Files, files_of, submit, write_results

RUNS = "runs/async-tabular-relay"


def read(bundle: Path) -> Results:
    """A bundle as results."""
    with open_archive(bundle) as archive:
        return bundle_results(open_files(archive))


def test_equal_results_are_equal_bytes(right_results: Path, right_bundle: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "moved" / "folder"
    shutil.copytree(right_results, elsewhere)
    assert submit(right_results, tmp_path / "again.zip").read_bytes() == right_bundle.read_bytes()
    records = next(elsewhere.glob("cells/*/*/*/sacred/*/*/*/records.jsonl"))
    os.utime(records, (1, 1))
    assert len({submit(elsewhere, tmp_path / f"{k}.zip").read_bytes() for k in range(2)}) == 1


def test_a_folder_and_a_zip_file_hold_the_same(right_results: Path, right: Files, tmp_path: Path) -> None:
    assert files_of(submit(right_results, tmp_path / "folder")) == right


def test_a_bundle_reads_as_its_results_folder(right_results: Path, right_bundle: Path) -> None:
    own, told = read_results(right_results), read(right_bundle)
    assert told.protocol == own.protocol
    assert [(run.task, run.algorithm, run.seed, run.state) for run in told.runs] == [
        (run.task, run.algorithm, run.seed, run.state) for run in own.runs
    ]
    for one, other in zip(told.runs, own.runs):
        for mine, theirs in zip(one.tests, other.tests, strict=True):
            assert (mine.step, mine.decisions, mine.wall_s) == (theirs.step, theirs.decisions, theirs.wall_s)
            assert set(mine.values) == set(theirs.values)
            for name in mine.values:
                np.testing.assert_array_equal(mine.values[name], theirs.values[name])
        assert one.absolute is not None and other.absolute is not None
        np.testing.assert_array_equal(one.absolute.values["return"], other.absolute.values["return"])
    assert report_data(told)["rows"][0]["final"] == report_data(own)["rows"][0]["final"]


def test_claims_are_what_the_report_says(right_results: Path, right: Files) -> None:
    rows = report_data(read_results(right_results))["rows"]
    claimed = json.loads(right["claims.json"])["rows"]
    assert [row["final"] for row in claimed] == [row["final"] for row in rows]
    assert [row["absolute"]["n"] for row in claimed] == [2, 2]


def test_nothing_of_the_machine_is_told(right_results: Path, right: Files) -> None:
    text = b"".join(data for name, data in right.items() if not name.endswith(".safetensors")).decode()
    assert str(right_results) not in text and str(right_results.parent) not in text
    assert "host-1" not in text
    assert "local_results_path=RESULTS" in text


def test_failed_runs_are_told_with_their_reasons(tmp_path: Path) -> None:
    results = write_results(tmp_path / "results", states={(TASK, "qmix", 2): "failed"})
    bundle = submit(results, tmp_path / "bundle.zip")
    assert verify(bundle, 2).tier == 2
    run = json.loads(files_of(bundle)[f"{RUNS}/qmix/seed-2/run.json"])
    assert (run["state"], run["reason"]) == ("failed", "learner: loss is nan <b>here</b>.")
    states = {(run.algorithm, run.seed): run.state for run in read(bundle).runs}
    assert states["qmix", 2] == "failed"


def test_a_failed_run_is_told_without_an_evaluation(tmp_path: Path) -> None:
    """One that an earlier attempt left is not packed; tier 1 would refuse it."""
    results = write_results(tmp_path / "results")
    cell = next(results.glob("cells/*/vdn/seed-2"))
    said = json.loads((cell / "cell.json").read_text())
    (cell / "cell.json").write_text(json.dumps({**said, "state": "failed", "reason": "no more disk"}))
    bundle = submit(results, tmp_path / "bundle.zip")
    named = [name for name in files_of(bundle) if "vdn/seed-2" in name]
    assert sorted(name.rpartition("/")[2] for name in named) == ["run.json", "tests.jsonl"]
    assert verify(bundle, 2).tier == 2


def test_the_networks_of_the_last_test_are_packed_where_they_are(right_results: Path, tmp_path: Path) -> None:
    results = Path(shutil.copytree(right_results, tmp_path / "results"))
    evaluation = next(results.glob("cells/*/vdn/seed-2")) / "evaluation"
    shutil.copy(evaluation / "agent.safetensors", evaluation / "last.safetensors")
    files = files_of(submit(results, tmp_path / "bundle.zip"))
    last = [name for name in files if name.endswith("last.safetensors")]
    assert last == ["runs/async-tabular-relay/vdn/seed-2/last.safetensors"]
    assert files[last[0]] == (evaluation / "last.safetensors").read_bytes()


def test_incomplete_seed_sets_are_refused(tmp_path: Path) -> None:
    states = {(TASK, "qmix", 2): "not run", (TASK, "vdn", 1): "running"}
    results = write_results(tmp_path / "results", states=states)
    with pytest.raises(Refused, match="2 of 4 parts are missing .*qmix seed 2: not run; .*vdn seed 1: not finished"):
        submit(results, tmp_path / "bundle.zip")
    assert sorted(os.listdir(tmp_path)) == ["results"]


def test_a_partial_bundle_says_so_everywhere(tmp_path: Path) -> None:
    states = {(TASK, "qmix", 2): "not run", (TASK, "vdn", 1): "running"}
    results = write_results(tmp_path / "results", states=states)
    shutil.rmtree(next(results.glob("cells/*/vdn/seed-2")) / "evaluation")
    packed = pack(results, tmp_path / "bundle.zip", Submission("A"), is_partial=True)
    assert [each.what for each in packed.missing] == ["run", "end", "evaluation"]
    found = verify(packed.path, 2)
    assert found.tier == 2 and found.partial, table(found)
    assert "PARTIAL: 3 of 4 parts are missing, as it says" in table(found)
    assert json.loads(files_of(packed.path)["bundle.json"])["partial"] is True


def test_a_run_in_its_first_attempt_goes_along_as_far_as_it_got(tmp_path: Path) -> None:
    """Its `cell.json` does not name its run before the attempt has ended."""
    results = write_results(tmp_path / "results", states={(TASK, "vdn", 1): "running"})
    path = next(results.glob("cells/*/vdn/seed-1")) / "cell.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "run": None}))
    run = next(path.parent.glob("sacred/*/*/1"))
    for name in ("run.json", "config.json"):
        (run / name).write_text("{}")
    packed = pack(results, tmp_path / "bundle.zip", Submission("A"), is_partial=True)
    files = files_of(packed.path)
    assert 2 == files[f"{RUNS}/vdn/seed-1/tests.jsonl"].count(b"\n")
    assert 1 == len(json.loads(files[f"{RUNS}/vdn/seed-1/run.json"])["provenance"])
    assert 2 == verify(packed.path, 2).tier


def test_a_pair_of_which_nothing_was_evaluated_stays_at_tier_2(tmp_path: Path) -> None:
    results = write_results(tmp_path / "results", states={(TASK, "vdn", seed): "running" for seed in (1, 2)})
    packed = pack(results, tmp_path / "bundle.zip", Submission("A"), is_partial=True)
    with open_archive(packed.path, LIMITS) as archive:
        checked = check_forms(open_files(archive, LIMITS))
    for reached in (1, 2, 3, 4):
        told = verification._of(checked, None, reached, (), 0).cells
        assert told == {f"{TASK} qmix": reached, f"{TASK} vdn": min(reached, 2)}


def test_pairs_that_were_never_begun_are_not_missing(tmp_path: Path) -> None:
    states = {(TASK, "qmix", seed): "not run" for seed in (1, 2)}
    results = write_results(tmp_path / "results", states=states)
    assert verify(submit(results, tmp_path / "bundle.zip"), 2).tier == 2


@pytest.mark.parametrize("name", ["<b>me</b>", "x" * 81, ""])
def test_a_name_that_tables_cannot_show_is_refused(name: str, right_results: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="submission.name"):
        pack(right_results, tmp_path / "bundle.zip", Submission(name))
    assert os.listdir(tmp_path) == []


def test_what_stands_there_already_is_left_alone(right_results: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle.zip"
    out.write_text("mine")
    with pytest.raises(Refused, match="this is there already"):
        submit(right_results, out)
    assert out.read_text() == "mine"
    with pytest.raises(Refused, match="there is no folder"):
        submit(right_results, tmp_path / "nowhere" / "bundle.zip")


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no protocol.json is here"):
        submit(tmp_path, tmp_path / "bundle.zip")
    write_results(tmp_path / "results", states={(TASK, a, s): "not run" for a in ("qmix", "vdn") for s in (1, 2)})
    with pytest.raises(Refused, match="no cell has been run"):
        submit(tmp_path / "results", tmp_path / "bundle.zip")


def test_a_damaged_record_is_refused(right_results: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(right_results, results)
    records = next(results.glob("cells/*/*/*/sacred/*/*/*/records.jsonl"))
    data = bytearray(records.read_bytes())
    data[200] ^= 1
    records.write_bytes(data)
    with pytest.raises(Refused, match="line 1 is damaged"):
        submit(results, tmp_path / "bundle.zip")


def test_what_tier_1_would_refuse_is_not_submitted(right_results: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(right_results, results)
    path = next(results.glob("cells/*/*/*/evaluation/evaluation.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "environment": "e" * 64}))
    with pytest.raises(Refused, match="evaluation.json: environment hash eeeeeeeeeeee…, this code's is"):
        submit(results, tmp_path / "bundle.zip")
    assert os.listdir(tmp_path) == ["results"]


def test_a_full_disk_leaves_no_half_bundle(
    right_results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packing, "write_zip", full)
    with pytest.raises(OSError, match="No space"):
        submit(right_results, tmp_path / "bundle.zip")
    assert os.listdir(tmp_path) == []
