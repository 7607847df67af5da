"""Tier 1: the bundle has the form it should have, holds whole seed sets, and no run twice."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Iterable, Mapping

from benchmarks.leaderboard.bundle import names
from benchmarks.leaderboard.bundle.conformity import protocol_reasons, run_reasons
from benchmarks.leaderboard.bundle.contents import RunFiles, read_run
from benchmarks.leaderboard.bundle.duplicates import Print, copies, finger_print
from benchmarks.leaderboard.bundle.limits import in_words
from benchmarks.leaderboard.bundle.manifest import Files
from benchmarks.leaderboard.bundle.origin import environments, same_rules, suite
from benchmarks.leaderboard.bundle.reading import About, read_about
from benchmarks.leaderboard.bundle.refusal import Refused, harmless
from benchmarks.leaderboard.bundle.runs import missing_parts
from benchmarks.leaderboard.bundle.schema import check_form
from benchmarks.leaderboard.bundle.weights import read_weights
from benchmarks.leaderboard.protocol import Task

__all__ = ["Checked", "check_forms"]

NOT_TOLD = "{folder}: its files are there, but bundle.json does not tell of the run."
NOT_THERE = "{folder}: bundle.json tells of this run, but it has no run.json."
ELSEWHERE = "{folder}: its run.json is of {name}, expected what the folder says."
ENVIRONMENT = (
    "bundle.json: {task}: environment hash {given}…, this code's is {own}…: the task has other rules. Verify with the "
    "version that the bundle names ({version})."
)
MISSING = "seed sets are not complete, and the bundle does not say so: {some}."
NOT_MISSING = "bundle.json: it says that parts are missing which are there: {some}."
PARTIAL = "bundle.json: partial={given}, though {n} parts are missing."


@dataclass(frozen=True)
class Checked:
    """A bundle that has passed tier 1."""

    about: About
    prints: tuple[Print, ...]
    n_evaluated: int
    found: tuple[str, ...]  # what tier 1 found, in words


def check_forms(files: Files) -> Checked:
    """Tier 1.

    Raises:
        Refused: every reason that was found.
    """
    about = read_about(files)
    check_form("claims", files.json(names.CLAIMS), names.CLAIMS)
    tasks = {task.key: task for task in about.protocol.tasks}
    reasons = [*protocol_reasons(about.protocol), *_folder_reasons(files, about.folders)]
    Refused.unless_empty(reasons)
    prints, there = [], {}
    for folder in about.folders:
        run = read_run(files, folder)
        reasons += _place_reasons(run, tasks)
        reasons += run_reasons(run, about.protocol)
        tensors = None
        if run.evaluation is not None:
            tensors = read_weights(files.read(f"{folder}/{names.WEIGHTS}"), f"{folder}/{names.WEIGHTS}", files.limits)
        if run.has_last:
            where = f"{folder}/{names.LAST_WEIGHTS}"
            read_weights(files.read(where), where, files.limits)
        prints.append(finger_print(run, tensors))
        there[run.cell] = (run.run["state"], run.evaluation is not None)
    Refused.unless_empty(reasons)
    Refused.unless_empty([*_environment_reasons(about, {task for task, _, _ in there}), *copies(prints)])
    Refused.unless_empty(_seed_set_reasons(about, there))
    n_evaluated = sum(is_evaluated for _, is_evaluated in there.values())
    return Checked(about, tuple(prints), n_evaluated, tuple(_found(files, about, there)))


def _folder_reasons(files: Files, folders: Iterable[str]) -> list[str]:
    """Files of runs that bundle.json does not tell of, and the other way round."""
    there = {str(PurePosixPath(name).parent) for name in files.listed if name.startswith("runs/")}
    told = set(folders)
    reasons = [NOT_TOLD.format(folder=folder) for folder in sorted(there - told)]
    return reasons + [
        NOT_THERE.format(folder=harmless(folder)) for folder in sorted(told) if f"{folder}/{names.RUN}" not in files
    ]


def _place_reasons(run: RunFiles, tasks: Mapping[str, Task]) -> list[str]:
    task, algorithm, seed = run.cell
    if task in tasks and run.folder != names.run_folder(tasks[task].folder, algorithm, seed):
        return [ELSEWHERE.format(folder=run.folder, name=run.name)]
    return []


def _environment_reasons(about: About, tasks: set[str]) -> list[str]:
    said, version = about.said["environments"], about.said["suite"]["version"]
    own = environments(about.protocol, tasks)
    return [
        ENVIRONMENT.format(
            task=harmless(task), given=said.get(task, "none")[:12], own=own.get(task, "none")[:12], version=version
        )
        for task in sorted({*said, *own}) if not same_rules(task, said.get(task), own.get(task))
    ]  # fmt: skip


def _seed_set_reasons(about: About, there: Mapping[tuple[str, str, int], tuple[str, bool]]) -> list[str]:
    missing = {str(each): each.as_dict() for each in missing_parts(about.protocol, there)}
    said = about.said["missing"]
    hidden = [name for name, each in missing.items() if each not in said]
    invented = [each for each in said if each not in missing.values()]
    if hidden:
        return [MISSING.format(some="; ".join(hidden[:6]))]
    if invented:
        return [NOT_MISSING.format(some=harmless(invented))]
    if about.said["partial"] != bool(missing):
        return [PARTIAL.format(given=about.said["partial"], n=len(missing))]
    return []


def _found(files: Files, about: About, there: Mapping[tuple[str, str, int], tuple[str, bool]]) -> list[str]:
    states = [state for state, _ in there.values()]
    counted = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    pairs = {(task, algorithm) for task, algorithm, _ in there}
    size = sum(entry["size"] for entry in files.listed.values())
    lines = [
        f"{len(files.listed)} files, {in_words(size)}, as the manifest says; digest {files.digest[:16]}",
        f"protocol {about.protocol.name} {about.protocol.hash[:12]}; the same rules as in this code",
        f"{len(there)} runs ({counted}) of {len(pairs)} pairs of task and algorithm; none told twice",
    ]
    if about.said["suite"] != suite():
        lines.append(f"made with version {about.said['suite']['version']} of the suite, this is {suite()['version']}")
    if about.said["partial"]:
        n = len(about.said["missing"])
        lines.append(f"PARTIAL: {n} of {len(pairs) * len(about.protocol.seeds)} parts are missing, as it says")
    return lines
