"""A bundle's tiers in order: each is reached by passing it and all before it."""

import json
import platform
import textwrap
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable, Sequence

from benchmarks.leaderboard.bundle.archive import open_archive
from benchmarks.leaderboard.bundle.claims import differences, make_claims, n_numbers
from benchmarks.leaderboard.bundle.duplicates import Played, as_told
from benchmarks.leaderboard.bundle.forms import Checked, check_forms
from benchmarks.leaderboard.bundle.limits import LIMITS, Limits
from benchmarks.leaderboard.bundle.manifest import Files, open_files
from benchmarks.leaderboard.bundle.names import CLAIMS
from benchmarks.leaderboard.bundle.origin import suite
from benchmarks.leaderboard.bundle.reading import bundle_results
from benchmarks.leaderboard.bundle.recomputing import evaluation_reasons
from benchmarks.leaderboard.bundle.reevaluation import evaluate_again, fresh_seed
from benchmarks.leaderboard.bundle.refusal import Refused, harmless
from benchmarks.leaderboard.bundle.replaying import Teller, replay_actions
from benchmarks.leaderboard.bundle.retesting import NotProven

__all__ = ["HIGHEST", "TIERS", "Step", "Verification", "table", "verify", "write_record"]

TIERS = ("", "schema-checked", "recomputed from raw", "actions replayed", "weights re-evaluated")
HIGHEST = len(TIERS) - 1
PASSED, REFUSED, NOT_PROVEN = "passed", "REFUSED", "not proven"
NOTHING, NOT_REACHED, NOT_ASKED = "nothing to check", "not reached", "not asked"
SCHEMA = 1
NO_EVALUATIONS = "the bundle holds no last evaluations (the protocol asks for {n} episodes)"
WIDTH = 118


@dataclass(frozen=True)
class Step:
    """What one tier found."""

    tier: int
    state: str
    found: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Verification:
    """What all tiers found.

    Attributes:
        tier: the highest one reached; 0 if the first refused.
        cells: "task algorithm" -> tier of its runs; those without a last evaluation stay at 2.
        prints: runs' hashes, so that a board can tell copies of them; at tier 4 also what their networks do on the
            fresh episodes of `held_out_seed`.
    """

    digest: str | None
    name: str
    protocol: str | None
    partial: bool
    tier: int
    steps: tuple[Step, ...]
    cells: dict[str, int] = field(default_factory=dict)
    prints: list[dict[str, Any]] = field(default_factory=list)
    held_out_seed: int = 0

    @property
    def is_refused(self) -> bool:
        """Whether a tier refused."""
        return any(step.state == REFUSED for step in self.steps)


def _silent(_: str) -> None:
    """Tell nobody."""


def verify(
    path: str | Path, highest: int = HIGHEST, tell: Teller = _silent, seed: int | None = None, limits: Limits = LIMITS
) -> Verification:
    """Run the tiers up to `highest`, in order, until one refuses.

    Args:
        path: a bundle, zip file or folder; it is read where it lies and not changed.
        tell: called with a line now and then during the long tiers.
        seed: of tier 4's fresh episodes; None draws one that nobody can foresee.
    """
    steps: list[Step] = []
    seed = fresh_seed() if seed is None else seed
    checked: Checked | None = None
    players: list[Played] = []
    digest: str | None = None
    try:
        with open_archive(path, limits) as archive:
            files = open_files(archive, limits)
            digest = files.digest

            def forms() -> tuple[str, ...]:
                nonlocal checked
                checked = check_forms(files)
                return checked.found

            if _run(steps, 1, forms) and highest > 1:
                assert checked is not None
                _go_on(steps, files, checked, highest, tell, seed, players)
    except Refused as error:
        steps.append(Step(1, REFUSED, error.reasons))
    reached = max((step.tier for step in steps if step.state == PASSED), default=0)
    for tier in range(len(steps) + 1, HIGHEST + 1):
        steps.append(Step(tier, NOT_ASKED if tier > highest and steps[-1].state != REFUSED else NOT_REACHED))
    if checked is None:
        return Verification(digest, harmless(Path(path).name), None, False, reached, tuple(steps), held_out_seed=seed)
    return _of(checked, digest, reached, tuple(steps), seed, players if reached == HIGHEST else [])


def _go_on(
    steps: list[Step],
    files: Files,
    checked: Checked,
    highest: int,
    tell: Teller,
    seed: int,
    players: list[Played],
) -> None:
    """Tiers 2 to `highest`, until one refuses or has nothing to check."""
    rest: Sequence[Callable[[], tuple[str, ...]]] = (
        lambda: recompute(files, checked),
        lambda: replay_actions(files, checked.about, tell),
        lambda: evaluate_again(files, checked.about, checked.n_evaluated, seed, tell, players),
    )
    for tier, check in enumerate(rest[: highest - 1], start=2):
        if tier > 2 and not checked.n_evaluated:
            why = NO_EVALUATIONS.format(n=checked.about.protocol.absolute_episodes)
            steps += [Step(left, NOTHING, (why,)) for left in range(tier, highest + 1)]
            return
        if not _run(steps, tier, check):
            return


def _run(steps: list[Step], tier: int, check: Callable[[], tuple[str, ...]]) -> bool:
    """Run one tier; whether it passed."""
    began = time.monotonic()
    try:
        found, state = check(), PASSED
    except Refused as error:
        found, state = error.reasons, REFUSED
    except NotProven as error:
        found, state = error.found, NOT_PROVEN
    steps.append(Step(tier, state, found, round(time.monotonic() - began, 1)))
    return state == PASSED


def recompute(files: Files, checked: Checked) -> tuple[str, ...]:
    """Tier 2: claims are what the raw values give, and the model that was evaluated is the one that tests chose.

    Raises:
        Refused: where they are not.
    """
    results = bundle_results(files)
    claimed, found = files.json(CLAIMS), make_claims(results)
    Refused.unless_empty([*differences(claimed, found), *evaluation_reasons(files, checked.about)])
    n_tests = sum(len(run.tests) for run in results.runs)
    n_episodes = sum(len(test.values["return"]) for run in results.runs for test in run.tests)
    return (f"{n_numbers(claimed):,} claimed numbers are those of {n_tests:,} tests with {n_episodes:,} episodes",)


def _of(
    checked: Checked,
    digest: str | None,
    reached: int,
    steps: tuple[Step, ...],
    seed: int,
    players: Sequence[Played] = (),
) -> Verification:
    about = checked.about
    lacking = {(each["task"], each["algorithm"]) for each in about.said["missing"] if each["what"] == "evaluation"}
    evaluated = {(each.task, each.algorithm) for each in checked.prints if each.vector is not None} - lacking
    cells = {
        f"{each.task} {each.algorithm}": reached if (each.task, each.algorithm) in evaluated else min(reached, 2)
        for each in checked.prints
    }
    played = {each.name: as_told(each) for each in players}
    prints = [
        {"task": each.task, "algorithm": each.algorithm, "seed": each.seed, "hashes": dict(each.hashes)}
        | ({"played": played[each.name]} if each.name in played else {})
        for each in checked.prints
    ]
    return Verification(
        digest, about.name, about.protocol.hash, bool(about.said["partial"]), reached, steps, cells, prints, seed
    )


def write_record(found: Verification, path: Path) -> None:
    """Write what was found as JSON, whole or not at all.

    Raises:
        OSError: the disk refused.
    """
    from epymarl_lite.utils.files import write_file
    from registry.provenance import source_state, versions

    verifier = {"suite": suite(), **source_state(), "versions": versions(), "platform": platform.platform()}
    record = {"schema": SCHEMA, **asdict(found), "verifier": verifier, "verified": int(time.time())}
    write_file(path, json.dumps(record, indent=1, sort_keys=True).encode() + b"\n")


def table(found: Verification) -> str:
    """The tiers and what each found, for a terminal."""
    head = max(len(f"{tier} {name}") for tier, name in enumerate(TIERS))
    states = max(len(state) for state in (PASSED, REFUSED, NOT_PROVEN, NOTHING, NOT_REACHED, NOT_ASKED))
    rows = [f"{'tier':{head}}  {'result':{states}}  found"]
    for step in found.steps:
        before = f"{f'{step.tier} {TIERS[step.tier]}':{head}}  {step.state:{states}}  "
        for line in step.found or ("",):
            wrapped = textwrap.wrap(line, WIDTH - len(before), break_on_hyphens=False) or [""]
            for part in wrapped:
                rows.append((before + part).rstrip())
                before = " " * len(before)
    return "\n".join(rows)
