"""The cells of an ablation: which command each is, and how far it is.

A cell is one variant with one seed. Its runs lie in `<results>/runs/<task>/<variant>/seed-<seed>`.
"""

import ast
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

from benchmarks.ablations.cells import Variant
from benchmarks.processes import ROOT
from registry import catalog, checks
from registry import config as configuration
from registry.hosts import select
from registry.records import COMPLETED, RUNNING, read_records, run_status

__all__ = ["FINISHED", "GOES_ON", "NEW", "REFUSED", "UNDER_WAY", "Cell", "Plan", "Settings", "make_plan"]

NEW, FINISHED, GOES_ON, UNDER_WAY, REFUSED = "new", "finished", "goes on", "under way", "refused"

OTHER_SETTINGS = (
    "{folder}: this run has {name}={given!r}, expected {expected!r}. Name another folder with --results, or give the "
    "settings it was begun with."
)
OWN_SETTING = "--set {name}={value}: this is what the ablation decides. Leave it out, or use {flag}."
BAD_SET = "--set {given}: neither a name nor a value. Write --set NAME=VALUE, e.g. --set batch_size_run=8."
DECIDED = {"seed": "--seeds", "t_max": "--t-max", "env_args.key": "--key", "local_results_path": "--results"}


@dataclass(frozen=True)
class Settings:
    """What all cells have in common."""

    key: str
    t_max: int
    results: Path
    changes: Mapping[str, Any]  # of --set, dotted names

    @property
    def task(self) -> str:
        """The key as a folder's name."""
        return configuration.folder_name(self.key)


@dataclass(frozen=True)
class Cell:
    """One run to be made, and its state."""

    variant: Variant
    seed: int
    folder: Path  # for its results
    wanted: Mapping[str, Any]  # configuration, dotted names
    state: str
    run: Path | None  # its run's folder; None if there is none yet
    told: str  # step reached, or why it is refused

    @property
    def words(self) -> list[str]:
        """The command line after `python src/main.py`, without the folder for results."""
        return command_words(self.variant, self.wanted)

    def command(self) -> list[str]:
        """What starts or resumes it, as a process."""
        if self.state == GOES_ON:
            return [sys.executable, "-m", "registry", "resume", str(self.run)]
        results = [f"local_results_path={self.folder}", "progress=False"]
        return [sys.executable, str(ROOT / "src" / "main.py"), *self.words, *results]


@dataclass(frozen=True)
class Plan:
    """All cells, variant by variant."""

    settings: Settings
    cells: tuple[Cell, ...]


def make_plan(settings: Settings, variants: Sequence[Variant], seeds: Sequence[int]) -> Plan:
    """Look at every cell.

    Raises:
        ValueError: every variant is refused (the first reason), or a folder holds another run; one line.
    """
    cells = []
    refusals = {variant.label: refusal(variant, settings, seeds[0]) for variant in variants}
    if all(reason is not None for reason in refusals.values()):
        raise ValueError(next(reason for reason in refusals.values() if reason is not None))
    for variant in variants:
        for seed in seeds:
            folder = settings.results.absolute() / "runs" / settings.task / variant.folder / f"seed-{seed}"
            wanted = wanted_settings(variant, settings, seed)
            reason = refusals[variant.label]
            state = (REFUSED, None, reason) if reason is not None else look(folder, wanted)
            cells.append(Cell(variant, seed, folder, wanted, *state))
    return Plan(settings, tuple(cells))


def wanted_settings(variant: Variant, settings: Settings, seed: int) -> dict[str, Any]:
    """The configuration of a cell, as far as the ablation decides it."""
    return {
        "env_args.key": settings.key, "seed": seed, "t_max": settings.t_max, "paper": True,
        **dict(variant.changes), **settings.changes,
    }  # fmt: skip


def command_words(variant: Variant, wanted: Mapping[str, Any]) -> list[str]:
    """--config=NAME with everything wanted."""
    return [f"--config={variant.config}", "with", *(f"{name}={value}" for name, value in wanted.items())]


def refusal(variant: Variant, settings: Settings, seed: int) -> str | None:
    """Why the command line would refuse this variant, in one line; None if it would not."""
    updates = configuration.nested(wanted_settings(variant, settings, seed))
    host = select.choose("embedded")
    try:
        before = configuration.assemble(host, variant.config, None, updates)
        checks.check(host, before, updates, {})
    except ValueError as error:
        return " ".join(str(error).split())
    return None


def look(folder: Path, wanted: Mapping[str, Any]) -> tuple[str, Path | None, str]:
    """State, run and step of the cell whose results lie in `folder`.

    Raises:
        ValueError: a run with other settings lies there; one line.
    """
    runs = [path.parent for path in folder.glob("sacred/*/*/*/config.json") if path.parent.name.isdigit()]
    if not runs:
        return NEW, None, ""
    run = max(runs, key=lambda path: int(path.name))
    check_settings(run, wanted)
    try:
        status, step = run_status(run), last_step(run)
    except ValueError:  # killed before its record was begun
        return NEW, None, ""
    if status == COMPLETED:
        return FINISHED, run, f"step {step:,}"
    return (UNDER_WAY if status == RUNNING else GOES_ON), run, f"step {step:,}"


def last_step(run: Path) -> int:
    """The last environment step that a run's record knows."""
    return max((record["t_env"] for record in read_records(run) if "t_env" in record), default=0)


def check_settings(run: Path, wanted: Mapping[str, Any]) -> None:
    """Refuse a run whose configuration is not what the cell wants."""
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    for name, expected in wanted.items():
        given = config
        for part in name.split("."):
            given = given.get(part) if isinstance(given, dict) else None
        if name == "env_args.key" and catalog.is_key(given):
            given, expected = catalog.canonical_key(given), catalog.canonical_key(expected)
        if given != expected:
            raise ValueError(OTHER_SETTINGS.format(folder=run, name=name, given=given, expected=expected))


def parse_changes(given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE words as configuration values.

    Raises:
        ValueError: no such word, or a name that the ablation decides; one line.
    """
    changes: dict[str, Any] = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise ValueError(BAD_SET.format(given=word))
        if name in DECIDED:
            raise ValueError(OWN_SETTING.format(name=name, value=value, flag=DECIDED[name]))
        try:
            changes[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            changes[name] = {"true": True, "false": False, "null": None}.get(value.lower(), value)
    return changes
