"""From a results folder to a bundle: the same results, the same bytes."""

import os
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Mapping

from benchmarks.leaderboard import protocol as protocols
from benchmarks.leaderboard.bundle import names
from benchmarks.leaderboard.bundle.archive import FolderArchive
from benchmarks.leaderboard.bundle.claims import make_claims
from benchmarks.leaderboard.bundle.forms import check_forms
from benchmarks.leaderboard.bundle.limits import LIMITS, Limits
from benchmarks.leaderboard.bundle.manifest import make_manifest, open_files
from benchmarks.leaderboard.bundle.origin import environments, suite
from benchmarks.leaderboard.bundle.privacy import Cleaner
from benchmarks.leaderboard.bundle.reading import bundle_results
from benchmarks.leaderboard.bundle.refusal import Refused
from benchmarks.leaderboard.bundle.runs import Looked, Missing, look, pack_run
from benchmarks.leaderboard.bundle.schema import check_form
from benchmarks.leaderboard.bundle.strict_json import canonical
from benchmarks.leaderboard.protocol import Protocol

__all__ = ["Packed", "Submission", "pack", "write_zip"]

SCHEMA = 1
NO_RESULTS = "{folder}: no protocol.json is here. Name a results folder that run has made."
NOTHING = "{folder}: no cell has been run. Run some first: python -m benchmarks.leaderboard run --results {folder}"
INCOMPLETE = (
    "submit: {n} of {all} parts are missing ({some}). Finish them with run, or add --partial, "
    "which every table will show."
)
THERE = "{out}: this is there already. Name another file, or remove it."
NO_FOLDER = "{out}: there is no folder {folder}. Make it, or name another."
TOLD = 4  # missing parts named in the error
STAGED = ".submit-{pid}"


@dataclass(frozen=True)
class Submission:
    """Who says what about the results; printable text without angle brackets."""

    name: str
    contact: str = ""
    note: str = ""


@dataclass(frozen=True)
class Packed:
    """A bundle that was written."""

    path: Path
    digest: str
    n_runs: int
    n_bytes: int
    missing: tuple[Missing, ...]


def pack(
    results: Path, out: Path, submission: Submission, is_partial: bool = False, limits: Limits = LIMITS
) -> Packed:
    """Write a bundle of everything that a results folder holds.

    Args:
        results: a leaderboard's --results.
        out: a zip file, or (without .zip) a folder; there must be none yet.
        is_partial: accept seed sets that are not complete; without it they are refused.

    Raises:
        Refused: what is wrong, one line each; nothing stands at `out`.
    """
    if os.path.lexists(out):
        raise Refused(THERE.format(out=out))
    if not out.absolute().parent.is_dir():
        raise Refused(NO_FOLDER.format(out=out, folder=out.absolute().parent))
    if not (results / protocols.FILE).is_file():
        raise Refused(NO_RESULTS.format(folder=results))
    protocol = protocols.load(results / protocols.FILE)
    looked = look(results, protocol)
    if not looked.cells:
        raise Refused(NOTHING.format(folder=results))
    if looked.missing and not is_partial:
        some = "; ".join(str(each) for each in looked.missing[:TOLD]) + (" …" if len(looked.missing) > TOLD else "")
        raise Refused(INCOMPLETE.format(n=len(looked.missing), all=looked.n_parts, some=some))
    staged = out.absolute().parent / STAGED.format(pid=os.getpid())
    shutil.rmtree(staged, ignore_errors=True)
    try:
        digest = _fill(staged / "bundle", results, protocol, looked, submission, limits)
        if out.suffix == ".zip":
            write_zip(staged / "bundle", staged / "bundle.zip")
            os.replace(staged / "bundle.zip", out)
            n_bytes = out.stat().st_size
        else:
            os.replace(staged / "bundle", out)
            n_bytes = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return Packed(out, digest, len(looked.cells), n_bytes, looked.missing)


def _fill(
    folder: Path, results: Path, protocol: Protocol, looked: Looked, submission: Submission, limits: Limits
) -> str:
    """Write the files of a bundle into `folder`; gives the bundle's digest."""
    cleaner = Cleaner(results)
    runs = []
    for cell in looked.cells:
        place = names.run_folder(cell.task.folder, cell.algorithm, cell.seed)
        for name, data in pack_run(cell, cleaner, has_evaluation=protocol.absolute_episodes > 0).items():
            _write(folder / place / name, data)
        runs.append(place)
    about: Mapping[str, Any] = {
        "schema": SCHEMA,
        "suite": suite(),
        "submission": {
            name: " ".join(value.split()) for name, value in vars(submission).items()
        },
        "protocol": protocols.as_dict(protocol),
        "environments": environments(protocol, {cell.task.key for cell in looked.cells}),
        "partial": bool(looked.missing),
        "missing": [each.as_dict() for each in looked.missing],
        "runs": sorted(runs),
    }  # fmt: skip
    check_form("bundle", about, names.BUNDLE)
    _write(folder / names.BUNDLE, canonical(about))
    _write(folder / names.CLAIMS, canonical({"schema": SCHEMA, "rows": [], "aggregates": []}))
    _seal(folder)
    files = open_files(FolderArchive(folder, limits), limits)
    _write(folder / names.CLAIMS, canonical(make_claims(bundle_results(files))))
    _seal(folder)
    files = open_files(FolderArchive(folder, limits), limits)
    check_forms(files)  # what tier 1 would refuse is not submitted
    return files.digest


def _seal(folder: Path) -> None:
    """Write the manifest of what lies in `folder`."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    paths.pop(names.MANIFEST, None)
    _write(folder / names.MANIFEST, make_manifest(paths))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_zip(folder: Path, out: Path) -> None:
    """The files of `folder` as a zip file: sorted, with one date and one mode, so that equal files are equal bytes."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, allowZip64=False) as file:
        for name, path in _sorted_files(folder):
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3
            member.external_attr = 0o100644 << 16
            file.writestr(member, path.read_bytes())
    with out.open("rb+") as written:
        os.fsync(written.fileno())


def _sorted_files(folder: Path) -> Iterator[tuple[str, Path]]:
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    yield from sorted(files.items())
