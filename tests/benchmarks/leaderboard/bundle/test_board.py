"""Boards: verified bundles of one protocol, each run once; and the three verbs."""

import json
import os
import shutil
from pathlib import Path
from typing import Any, Callable

import pytest
from click.testing import CliRunner

from benchmarks.leaderboard.__main__ import main
from benchmarks.leaderboard.bundle import board as boards
from benchmarks.leaderboard.bundle.board import add, read_board
from benchmarks.leaderboard.bundle.refusal import Refused
from benchmarks.leaderboard.bundle.verification import Verification, verify
from benchmarks.leaderboard.report.data import report_data
from tests.benchmarks.leaderboard.bundle.builders import (
    TASK,
    Files,
    edited,
    folder_with,
    small_protocol,
    submit,
    write_results,
)

RUNS = "runs/async-tabular-relay"


def ask(*words: object) -> tuple[int, str, str]:
    """(exit status, stdout, stderr) of one command."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def part(tmp_path: Path, algorithm: str, name: str = "part") -> Path:
    """A bundle of one algorithm of the protocol."""
    other = {"qmix": "vdn", "vdn": "qmix"}[algorithm]
    states = {(TASK, other, seed): "not run" for seed in (1, 2)}
    return submit(write_results(tmp_path / f"{name}-results", states=states), tmp_path / f"{name}.zip")


def test_two_submissions_make_one_table(tmp_path: Path) -> None:
    board = tmp_path / "board"
    for algorithm in ("qmix", "vdn"):
        bundle = part(tmp_path, algorithm, algorithm)
        add(bundle, verify(bundle, 2), board)
    found = read_board(board)
    assert [(run.algorithm, run.seed, run.state) for run in found.results.runs] == [
        ("qmix", 1, "finished"), ("qmix", 2, "finished"), ("vdn", 1, "finished"), ("vdn", 2, "finished"),
    ]  # fmt: skip
    assert found.tiers == {(TASK, "qmix"): "2 recomputed from raw", (TASK, "vdn"): "2 recomputed from raw"}
    data = report_data(found.results, tiers=found.tiers)
    assert [(row["n"], row["tier"]) for row in data["rows"]] == [(2, "2 recomputed from raw")] * 2
    assert len(found.notes) == 2 and "Submission 'A. Author': tier 2 (recomputed from raw)" in found.notes[0]


def test_a_bundle_is_put_there_once(right_bundle: Path, tmp_path: Path) -> None:
    found = verify(right_bundle, 2)
    place = add(right_bundle, found, tmp_path / "board")
    assert (place / "bundle.zip").read_bytes() == right_bundle.read_bytes()
    assert json.loads((place / "verification.json").read_text())["tier"] == 2
    with pytest.raises(Refused, match="this bundle is on the board already"):
        add(right_bundle, found, tmp_path / "board")
    assert len(os.listdir(tmp_path / "board" / "submissions")) == 1


def test_a_copy_of_anothers_run_is_refused(right_bundle: Path, right: Files, tmp_path: Path) -> None:
    add(right_bundle, verify(right_bundle, 2), tmp_path / "board")

    def rename(said: dict) -> None:
        said["submission"]["name"] = "B. Other"

    copy = folder_with(edited(right, "bundle.json", rename), tmp_path / "copy")
    with pytest.raises(Refused, match="is a copy of .*, which 'A. Author' submitted"):
        add(copy, verify(copy, 2), tmp_path / "board")


def test_a_cell_stands_once_and_can_be_replaced(right_bundle: Path, tmp_path: Path) -> None:
    """A second submission of the same cells, of other runs."""
    board = tmp_path / "board"
    first = add(right_bundle, verify(right_bundle, 2), board)
    record = first / "verification.json"
    said = json.loads(record.read_text())
    said["digest"] = "0" * 64
    for each in said["prints"]:
        each["hashes"] = {"weights": "other"}
    record.write_text(json.dumps(said))
    found = verify(right_bundle, 2)
    with pytest.raises(Refused, match="async:tabular-relay qmix seed 1 is on the board already, .* --replace"):
        add(right_bundle, found, board)
    with pytest.raises(Refused, match="the board has no such submission. It has: a-author-"):
        add(right_bundle, found, board, replace="nobody")
    os.rename(first, first.with_name("earlier"))
    place = add(right_bundle, found, board, replace="earlier")
    assert os.listdir(board / "submissions") == [place.name]


def test_another_protocol_is_refused(right_bundle: Path, tmp_path: Path) -> None:
    add(right_bundle, verify(right_bundle, 1), tmp_path / "board")
    other = submit(write_results(tmp_path / "other", small_protocol(seeds=(1, 2, 3))), tmp_path / "other.zip")
    with pytest.raises(Refused, match="A board holds one protocol"):
        add(other, verify(other, 1), tmp_path / "board")


def test_what_was_refused_or_changed_is_not_put_there(right_bundle: Path, right: Files, tmp_path: Path) -> None:
    bad = folder_with({**right, "claims.json": b"{}\n"}, tmp_path / "bad")
    with pytest.raises(Refused, match="refused at tier 1; only verified bundles"):
        add(bad, verify(bad, 2), tmp_path / "board")
    assert not (tmp_path / "board").exists()
    good = folder_with(right, tmp_path / "good")
    found = verify(good, 2)
    with pytest.raises(Refused, match="changed after it was verified"):
        add(folder_with(edited(right, "bundle.json", lambda said: said["submission"].update(note="x")), good), found,
            tmp_path / "board")  # fmt: skip


def test_adding_that_fails_changes_nothing(
    right_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    found = verify(right_bundle, 2)
    with monkeypatch.context() as broken:
        broken.setattr(boards, "write_record", full)
        with pytest.raises(OSError, match="No space"):
            add(right_bundle, found, tmp_path / "board")
    assert os.listdir(tmp_path / "board") in (["board.lock"], [])
    add(right_bundle, found, tmp_path / "board")


class Killed(BaseException):
    """Stands for a process that is no more."""


class Dying:
    """Ends `add` before its n-th step on the disk; from then on nothing is done, as by the dead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, n: int):
        self.left = n
        self.steps: list[str] = []
        for where, name in (
            (os, "rename"), (shutil, "rmtree"), (shutil, "copyfile"), (boards, "write_file"), (boards, "write_record"),
            (boards, "sync_folder"),
        ):  # fmt: skip
            monkeypatch.setattr(where, name, self.counted(name, getattr(where, name)))

    def counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """A step that may be the last."""

        def step(*given: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise Killed
            self.steps.append(name)
            return real(*given, **named)

        return step


def earlier_submission(bundle: Path, found: Verification, board: Path) -> None:
    """Put a submission named earlier on the board, whose cells are those of the bundle and whose runs are not."""
    record = (place := add(bundle, found, board)) / "verification.json"
    said = {**json.loads(record.read_text()), "digest": "0" * 64}
    record.write_text(json.dumps({**said, "prints": [{**each, "hashes": {"a": "b"}} for each in said["prints"]]}))
    os.rename(place, place.with_name("earlier"))


@pytest.mark.parametrize("replace", [None, "earlier"])
def test_adding_that_is_killed_anywhere_leaves_a_board_that_the_next_add_completes(
    right_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: str | None
) -> None:
    found = verify(right_bundle, 2)
    for n in range(100):
        board = tmp_path / f"board-{n}"
        if replace:
            earlier_submission(right_bundle, found, board)
        with monkeypatch.context() as patch:
            dying = Dying(patch, n)
            try:
                add(right_bundle, found, board, replace)
                break
            except Killed:
                pass
        if (board / "submissions").exists():
            read_board(board)  # whatever stands there, it is a board
        try:
            add(right_bundle, found, board, replace)
        except Refused as error:
            assert "this bundle is on the board already" in str(error)
        (place,) = os.listdir(board / "submissions")
        assert place.startswith("a-author-") and sorted(os.listdir(board / "submissions" / place)) == [
            "bundle.zip", "verification.json",
        ]  # fmt: skip
        assert sorted(os.listdir(board)) == ["board.json", "board.lock", "submissions"]
        assert {run.state for run in read_board(board).results.runs} == {"finished"}
    first, last = (["rename", "rename"], ["rmtree"]) if replace else (["write_file", "rename"], [])
    assert ["copyfile", "write_record", *first, "sync_folder", *last] == dying.steps


def test_replacing_that_fails_brings_the_old_submission_back(
    right_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, rename = verify(right_bundle, 2), os.rename
    earlier_submission(right_bundle, found, tmp_path / "board")

    def full(source: Path, place: Path) -> None:
        if Path(source).name.startswith(".add-"):
            raise OSError(28, "No space left on device")
        rename(source, place)

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OSError, match="No space"):
        add(right_bundle, found, tmp_path / "board", replace="earlier")
    assert os.listdir(tmp_path / "board" / "submissions") == ["earlier"]
    assert not list((tmp_path / "board").glob(".add-*"))


def test_a_board_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no board.json is here"):
        read_board(tmp_path)


# the verbs


def test_the_verbs_from_submit_to_add(real_results: Path, tmp_path: Path) -> None:
    bundle, board = tmp_path / "real.zip", tmp_path / "board"
    status, out, _ = ask("submit", "--results", real_results, "--out", bundle, "--name", "A. Author")
    assert status == 0 and "2 runs" in out and f"verify {bundle}" in out

    status, out, _ = ask("verify", bundle, "--seed", "5")
    assert status == 0 and "A. Author: tier 4 (weights re-evaluated) reached" in out
    record = json.loads((tmp_path / "real.zip.verification.json").read_text())
    assert (record["tier"], record["held_out_seed"], record["schema"]) == (4, 5, 1)
    assert record["verifier"]["suite"]["name"] == "async-epymarl"

    status, out, _ = ask("add", bundle, "--board", board, "--seed", "5")
    assert status == 0 and "On the board:" in out
    status, _, err = ask("add", bundle, "--board", board, "--tier", "1")
    assert status == 1 and "this bundle is on the board already" in err
    assert read_board(board).tiers == {("async:poac-1", "vdn"): "4 weights re-evaluated"}


def test_the_table_of_a_board_shows_tiers_and_who_submitted(tmp_path: Path) -> None:
    bundle = part(tmp_path, "qmix")
    add(bundle, verify(bundle, 2), tmp_path / "board")
    status, out, _ = ask("report", "--board", tmp_path / "board", "--no-plots")
    assert status == 0 and "2 of 4 runs are finished" in out
    report = (tmp_path / "board" / "report" / "report.md").read_text()
    assert "2 recomputed from raw" in report and "A. Author" in report


def test_verify_says_why_and_ends_with_status_1(right: Files, tmp_path: Path) -> None:
    bad = folder_with({**right, "extra.pkl": b"\x80\x04."}, tmp_path / "bad")
    status, out, _ = ask("verify", bad)
    assert status == 1
    assert "bad: REFUSED, no tier reached" in out
    assert "extra.pkl: pickled data can run code" in out
    assert json.loads((tmp_path / "bad.verification.json").read_text())["tier"] == 0


def test_verify_stops_where_it_is_asked_to(right_bundle: Path, tmp_path: Path) -> None:
    status, out, _ = ask("verify", right_bundle, "--tier", "1", "--record", tmp_path / "record.json")
    assert status == 0 and "tier 1 (schema-checked) reached" in out and out.count("not asked") == 3
    assert os.listdir(tmp_path) == ["record.json"]


def test_wrong_words_are_one_line_and_status_2(tmp_path: Path) -> None:
    status, _, err = ask("verify", tmp_path / "nothing.zip")
    assert status == 2 and err.count("\n") == 1 and "there is no such file or folder" in err
    status, _, err = ask("verify", tmp_path, "--tier", "5")
    assert status == 2 and err.count("\n") == 1 and "1<=x<=4" in err


def test_submit_tells_what_is_missing(tmp_path: Path) -> None:
    results = write_results(tmp_path / "results", states={(TASK, "qmix", 2): "not run"})
    status, _, err = ask("submit", "--results", results, "--out", tmp_path / "x.zip")
    assert status == 1 and "qmix seed 2: not run" in err and "--partial" in err
    status, out, _ = ask("submit", "--results", results, "--out", tmp_path / "x.zip", "--partial")
    assert status == 0 and "PARTIAL: 1 parts are missing" in out
    status, out, _ = ask("verify", tmp_path / "x.zip", "--tier", "2")
    assert status == 0 and "anonymous: PARTIAL, tier 2" in out


@pytest.mark.parametrize("verb", ["submit", "verify", "add"])
def test_help_shows_an_example(verb: str) -> None:
    status, out, _ = ask(verb, "--help")
    assert status == 0 and f"python -m benchmarks.leaderboard {verb}" in out


def test_a_board_reads_its_bundles_again_with_their_hashes(right_bundle: Path, tmp_path: Path) -> None:
    place = add(right_bundle, verify(right_bundle, 1), tmp_path / "board")
    packed = bytearray((place / "bundle.zip").read_bytes())
    packed[len(packed) // 2] ^= 1
    (place / "bundle.zip").write_bytes(packed)
    with pytest.raises(Refused):
        read_board(tmp_path / "board")
    shutil.rmtree(place)
    assert {run.state for run in read_board(tmp_path / "board").results.runs} == {"not run"}
