"""A board: verified bundles of one protocol, from which a report makes one table.

    board.json                                the protocol
    submissions/<name>-<digest>/bundle.zip    as it was submitted
    submissions/<name>-<digest>/verification.json

`add` stages a submission beside them and renames it into place, under a lock. What an `add` that was killed has left
is put in order by the next one: names with a dot are never part of the board.
"""

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Mapping

from filelock import FileLock

from benchmarks.leaderboard import protocol as protocols
from benchmarks.leaderboard.bundle.archive import open_archive
from benchmarks.leaderboard.bundle.manifest import open_files
from benchmarks.leaderboard.bundle.packing import write_zip
from benchmarks.leaderboard.bundle.reading import bundle_results, read_about, results_of
from benchmarks.leaderboard.bundle.refusal import Refused
from benchmarks.leaderboard.bundle.strangers import copies_of
from benchmarks.leaderboard.bundle.verification import HIGHEST, TIERS, Verification, write_record
from benchmarks.leaderboard.results import NOT_RUN, Results
from epymarl_lite.utils.files import sync_folder, write_file

__all__ = ["Board", "add", "read_board"]

BOARD, LOCK, SUBMISSIONS = "board.json", "board.lock", "submissions"
ZIPPED, VERIFIED = "bundle.zip", "verification.json"
STAGED = ".add-"  # and a process number: a submission that is not whole yet
ASIDE = ".replaced-by-"  # and a submission's folder name: one that goes when that one has come
SCHEMA = 1

NOT_VERIFIED = "add: the bundle was refused at tier {tier}; only verified bundles stand on a board."
THERE = "add: this bundle is on the board already ({place})."
OTHER_PROTOCOL = "add: the board is of the protocol {own}…, the bundle of {given}…. A board holds one protocol."
COPY = "add: {one} is a copy of {other}, which {name!r} submitted (equal {what})."
TAKEN = (
    "add: {cell} is on the board already, submitted by {name!r}. Each cell stands once; --replace {place} takes that "
    "submission off when this one goes on."
)
NO_SUBMISSION = "add: --replace {given}: the board has no such submission. It has: {known}."
NO_BOARD = "{folder}: no board.json is here. Name a board's folder (add makes one)."


@dataclass(frozen=True)
class Board:
    """Everything on a board.

    Attributes:
        results: all runs of all submissions, the protocol's other cells as not run.
        tiers: (task, algorithm) -> the lowest tier that its submissions reached, in words.
        notes: what a reader of the table should know: who submitted what, and what is partial.
    """

    results: Results
    tiers: Mapping[tuple[str, str], str]
    notes: tuple[str, ...]


def add(bundle: Path, found: Verification, folder: Path, replace: str | None = None) -> Path:
    """Put a verified bundle on a board, whole or not at all.

    Args:
        bundle: zip file or folder.
        found: of `verify`, of this bundle.
        folder: the board's; it is made where missing.
        replace: name of the folder of a submission that goes.

    Returns:
        the submission's folder.

    Raises:
        Refused: not verified, there already, of another protocol, or a run of it is on the board; nothing has changed.
    """
    if found.is_refused or not found.tier or found.digest is None:
        raise Refused(NOT_VERIFIED.format(tier=found.tier + 1))
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder / LOCK)):
        with open_archive(bundle) as archive:
            files = open_files(archive)
            if files.digest != found.digest:
                raise Refused(f"add: {bundle} was changed after it was verified.")
            protocol = protocols.as_dict(read_about(files).protocol)
        _settle(folder)
        submissions = _submissions(folder)
        for name, record in submissions.items():
            if record["digest"] == found.digest:
                raise Refused(THERE.format(place=name))
        if replace is not None and replace not in submissions:
            raise Refused(NO_SUBMISSION.format(given=replace, known=", ".join(submissions) or "none"))
        others = {place: record for place, record in submissions.items() if place != replace}
        _check(found, protocol, folder, others)
        if found.tier == HIGHEST:
            with open_archive(bundle) as archive:
                Refused.unless_empty([f"add: {why}" for why in copies_of(others, open_files(archive))])
        place = folder / SUBMISSIONS / f"{_slug(found.name)}-{found.digest[:16]}"
        try:
            staged = _stage(bundle, found, folder)
            if not (folder / BOARD).is_file():
                board = {"schema": SCHEMA, "protocol": protocol}
                write_file(folder / BOARD, json.dumps(board, indent=1, sort_keys=True).encode() + b"\n")
            _put(staged, place, replace)
        finally:
            _settle(folder)
    return place


def _check(
    found: Verification,
    protocol: Mapping[str, Any],
    folder: Path,
    others: Mapping[str, Mapping[str, Any]],
) -> None:
    if (folder / BOARD).is_file():
        own = json.loads((folder / BOARD).read_text(encoding="utf-8"))["protocol"]["hash"]
        if own != protocol["hash"]:
            raise Refused(OTHER_PROTOCOL.format(own=own[:12], given=protocol["hash"][:12]))
    reasons = []
    for place, record in others.items():
        known = {pair: each for each in record["prints"] for pair in each["hashes"].items()}
        cells = {_cell(each) for each in record["prints"]}
        for each in found.prints:
            same = [pair for pair in each["hashes"].items() if pair in known]
            if same:
                what = ", ".join(kind for kind, _ in same)
                other = _cell(known[same[0]])
                reasons.append(COPY.format(one=_cell(each), other=other, name=record["name"], what=what))
            elif _cell(each) in cells:
                reasons.append(TAKEN.format(cell=_cell(each), name=record["name"], place=place))
    Refused.unless_empty(reasons)


def _cell(told: Mapping[str, Any]) -> str:
    return f"{told['task']} {told['algorithm']} seed {told['seed']}"


def _stage(bundle: Path, found: Verification, folder: Path) -> Path:
    """Write a submission's folder beside its place; returns where."""
    staged = folder / f"{STAGED}{os.getpid()}"
    staged.mkdir()
    if bundle.is_dir():
        write_zip(bundle, staged / ZIPPED)
    else:
        shutil.copyfile(bundle, staged / ZIPPED)
    with open_archive(staged / ZIPPED) as archive:  # what stands on the board is what was verified
        if open_files(archive).digest != found.digest:
            raise Refused(f"add: {bundle} was changed after it was verified.")
    write_record(found, staged / VERIFIED)
    return staged


def _put(staged: Path, place: Path, replace: str | None) -> None:
    """Rename a staged submission into its place, the one that it replaces set aside before."""
    place.parent.mkdir(exist_ok=True)
    if replace is not None:
        aside = place.with_name(f"{ASIDE}{place.name}")
        aside.mkdir()
        os.rename(place.with_name(replace), aside / replace)
    os.rename(staged, place)
    sync_folder(place.parent)


def _settle(folder: Path) -> None:
    """Remove what was staged; what was set aside goes if its successor has come, and comes back if not."""
    for left in folder.glob(f"{STAGED}*"):
        shutil.rmtree(left, ignore_errors=True)
    for aside in (folder / SUBMISSIONS).glob(f"{ASIDE}*"):
        if not aside.with_name(aside.name.removeprefix(ASIDE)).is_dir():
            for old in aside.iterdir():
                os.rename(old, aside.with_name(old.name))
        shutil.rmtree(aside, ignore_errors=True)


def _submissions(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Folder name -> verification record of every submission, by name."""
    places = sorted((folder / SUBMISSIONS).glob(f"*/{VERIFIED}"))
    return {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in places}


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:40] or "submission"


def read_board(folder: str | Path, columns: Iterable[str] | None = None) -> Board:
    """All submissions of a board as one set of results.

    Args:
        columns: which values of the episodes to keep; None keeps all.

    Raises:
        Refused: no board, or a bundle on it that is damaged; one line.
    """
    folder = Path(folder)
    if not (folder / BOARD).is_file():
        raise Refused(NO_BOARD.format(folder=folder))
    board = json.loads((folder / BOARD).read_text(encoding="utf-8"))
    protocol = protocols.checked(board["protocol"], folder / BOARD)
    wanted = None if columns is None else tuple(columns)
    runs, notes = {}, []
    tiers: dict[tuple[str, str], int] = {}
    for place, record in _submissions(folder).items():
        with open_archive(folder / SUBMISSIONS / place / ZIPPED) as archive:
            files = open_files(archive)
            about = read_about(files)
            for run in bundle_results(files, wanted).runs:
                if run.state != NOT_RUN:
                    runs[run.task, run.algorithm, run.seed] = run
        for name, tier in record["cells"].items():
            task, _, algorithm = name.rpartition(" ")
            tiers[task, algorithm] = min(tier, tiers.get((task, algorithm), tier))
        notes.append(_note(about.said, record))
    words = {pair: f"{tier} {TIERS[tier]}" for pair, tier in tiers.items()}
    return Board(results_of(protocol, runs, folder), words, tuple(notes))


def _note(about: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    said, tier = about["submission"], record["tier"]
    words = [f"Submission {said['name']!r}: tier {tier} ({TIERS[tier]}), digest {record['digest'][:16]}."]
    if about["partial"]:
        words.append(f"PARTIAL: {len(about['missing'])} parts of its seed sets are missing.")
    if said["note"]:
        words.append(said["note"])
    return " ".join(words)
