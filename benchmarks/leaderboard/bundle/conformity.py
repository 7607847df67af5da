"""Whether a run is the run that its protocol asks for: settings, tests, episode seeds, environment."""

from typing import Any, Iterator, Mapping, Sequence

from async_envs.core.seeding import ABSOLUTE, TEST, episode_seed
from benchmarks.leaderboard import protocol as protocols
from benchmarks.leaderboard.bundle.contents import RunFiles
from benchmarks.leaderboard.bundle.expected import config_differences, expected_config
from benchmarks.leaderboard.bundle.origin import own_hash, same_rules
from benchmarks.leaderboard.bundle.refusal import harmless
from benchmarks.leaderboard.protocol import Protocol, Task
from benchmarks.leaderboard.results import FAILED, FINISHED, RUNNING

__all__ = ["protocol_reasons", "run_reasons"]

EMBEDDED = "embedded"  # the host that a protocol's cells run under
NO_TASK = "{run}: the protocol {name} has no such task. Known: {known}."
NO_ALGORITHM = "{run}: the protocol {name} has no such algorithm. Known: {known}."
NO_SEED = "{run}: the protocol {name} has no such seed. Known: {known}."
NOT_AVAILABLE = "{run}: this version cannot play the task ({why}). Verify with the version that made the bundle."
OTHER_PROTOCOL = (
    "bundle.json: its protocol {name!r} has the hash {given}…, the {name} of this version {own}…: it was edited, or is "
    "of another version."
)
NO_PROVENANCE = "{run}: it tells no command, configuration, versions and hardware."
ENVIRONMENT = (
    "{run}: {where}: environment hash {given}…, this code's is {own}…: its task has other rules. Verify with the "
    "commit that it names ({commit})."
)
SETTING = "{run}: {where}: {name}={given}, the protocol asks for {expected}."
HOST = "{run}: it ran under the host {given!r}, expected {expected!r}."
NO_REASON = "{run}: it failed, and no reason is told."
NO_TESTS = "{run}: it is said to be finished, and holds no tests."
ENDS = "{run}: its last test is at step {given}, the protocol asks for {expected}."
N_EPISODES = "{run}: the test at step {step} has {given} episodes, the protocol asks for {expected}."
SEEDS = (
    "{run}: {where}: its episodes do not have the seeds that seed {seed} gives; they were changed, left out or copied."
)
BACKWARDS = "{run}: the test at step {step}: {name} fall from {before} to {given}."
N_EVALUATED = "{run}: {given} episodes of its last evaluation, the protocol asks for {expected}."


def protocol_reasons(protocol: Protocol) -> list[str]:
    """Why a protocol is not the one that this version calls so; one with a name of its own is as it says."""
    if protocol.name not in protocols.names():
        return []
    own = protocols.load(protocol.name).hash
    if own == protocol.hash:
        return []
    return [OTHER_PROTOCOL.format(name=protocol.name, given=protocol.hash[:12], own=own[:12])]


def run_reasons(run: RunFiles, protocol: Protocol) -> list[str]:
    """Why a run is not the one that its protocol asks for; empty if it is."""
    key, algorithm, seed = run.cell
    tasks = {task.key: task for task in protocol.tasks}
    told = {"run": run.name, "name": protocol.name}
    if key not in tasks:
        return [NO_TASK.format(**told, known=", ".join(tasks))]
    if algorithm not in protocol.algorithms:
        return [NO_ALGORITHM.format(**told, known=", ".join(protocol.algorithms))]
    if seed not in protocol.seeds:
        return [NO_SEED.format(**told, known=", ".join(map(str, protocol.seeds)))]
    why = protocols.available(tasks[key])
    if why is not None:
        return [NOT_AVAILABLE.format(run=run.name, why=why)]
    return [
        *_state_reasons(run, tasks[key]),
        *_origin_reasons(run, protocol, tasks[key]),
        *_test_reasons(run, protocol),
        *_evaluation_reasons(run, protocol),
    ]


def _state_reasons(run: RunFiles, task: Task) -> Iterator[str]:
    state = run.run["state"]
    if state == FAILED and not run.run["reason"]:
        yield NO_REASON.format(run=run.name)
    if state in (FINISHED, RUNNING) and run.tests and not run.run["provenance"]:
        yield NO_PROVENANCE.format(run=run.name)
    if state != FINISHED:
        return
    if not run.tests:
        yield NO_TESTS.format(run=run.name)
    elif run.tests[-1].step < task.t_max:
        yield ENDS.format(run=run.name, given=run.tests[-1].step, expected=task.t_max)


def _origin_reasons(run: RunFiles, protocol: Protocol, task: Task) -> Iterator[str]:
    """Configuration and environment of every start, and of the evaluation."""
    starts: list[tuple[str, Mapping[str, Any], str | None]] = [
        (f"start {number}", said["config"], said["environment"])
        for number, said in enumerate(run.run["provenance"], start=1)
    ]
    for said in run.run["provenance"]:
        if said.get("host", EMBEDDED) != EMBEDDED:
            yield HOST.format(run=run.name, given=harmless(said["host"], 60), expected=EMBEDDED)
    if run.evaluation is not None:
        starts.append(("evaluation.json", run.evaluation["config"], run.evaluation["environment"]))
    if not starts:
        return
    commit = run.run["provenance"][-1]["commit"] if run.run["provenance"] else None
    expected = expected_config(protocol, task, run.run["algorithm"], run.run["seed"])
    own = own_hash(expected)
    for where, config, environment in starts:
        for name, given, asked in config_differences(config, expected):
            yield SETTING.format(run=run.name, where=where, name=name, given=given, expected=asked)
        if not same_rules(task.key, environment, own):
            yield ENVIRONMENT.format(
                run=run.name, where=where, given=str(environment)[:12], own=str(own)[:12], commit=str(commit)[:12]
            )
            return  # its other starts say the same


def _test_reasons(run: RunFiles, protocol: Protocol) -> Iterator[str]:
    """Numbers and seeds of episodes, and that nothing was left out between two tests."""
    first = 0
    for k, test in enumerate(run.tests):
        n = len(test.values["return"])
        if n != protocol.test_nepisode:
            yield N_EPISODES.format(run=run.name, step=test.step, given=n, expected=protocol.test_nepisode)
        if not _has_seeds(test.seeds, run.run["seed"], TEST, first, n):
            yield SEEDS.format(run=run.name, where=f"the test at step {test.step}", seed=run.run["seed"])
        first += n
        for name, before, given in _falls(run, k):
            yield BACKWARDS.format(run=run.name, step=test.step, name=name, before=before, given=given)


def _falls(run: RunFiles, k: int) -> Iterator[tuple[str, float, float]]:
    """Counts of test k that are lower than those of the test before."""
    if k == 0:
        return
    for name in ("decisions", "wall_s"):
        before, given = getattr(run.tests[k - 1], name), getattr(run.tests[k], name)
        if before is not None and given is not None and given < before:
            yield name, before, given


def _evaluation_reasons(run: RunFiles, protocol: Protocol) -> Iterator[str]:
    if run.evaluation is None:
        return
    n = len(run.episodes)
    if n != protocol.absolute_episodes:
        yield N_EVALUATED.format(run=run.name, given=n, expected=protocol.absolute_episodes)
    if not _has_seeds([episode.seed for episode in run.episodes], run.run["seed"], ABSOLUTE, 0, n):
        yield SEEDS.format(run=run.name, where="its last evaluation", seed=run.run["seed"])


def _has_seeds(seeds: Sequence[int] | None, run_seed: int, stream: str, first: int, n: int) -> bool:
    return seeds is not None and list(seeds) == [episode_seed(run_seed, stream, first + k) for k in range(n)]
