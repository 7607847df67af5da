"""Whether a run is the run that its protocol asks for: settings, tests, episode seeds, environment."""

from itertools import pairwise
from typing import Any, Iterator, Mapping, Sequence

from async_envs.core.seeding import ABSOLUTE, TEST, episode_seed
from benchmarks.leaderboard import protocol as protocols
from benchmarks.leaderboard.bundle.contents import RunFiles
from benchmarks.leaderboard.bundle.expected import config_differences, expected_config, longest_rollout
from benchmarks.leaderboard.bundle.origin import own_hash, same_rules
from benchmarks.leaderboard.bundle.refusal import harmless
from benchmarks.leaderboard.protocol import Protocol, Task
from benchmarks.leaderboard.results import FAILED, FINISHED, REFUSED, RUNNING

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
NOT_ACCEPTED = "{run}: the protocol asks for a configuration that is not accepted: {error}"
SETTING = "{run}: {where}: {name}={given}, the protocol asks for {expected}."
HOST = "{run}: it ran under the host {given!r}, expected {expected!r}."
NO_REASON = "{run}: it {state}, and no reason is told."
REFUSED_TESTED = "{run}: it is said to have been refused before it began, and holds tests or an evaluation."
FAILED_EVALUATED = "{run}: it is said to have failed, and holds a last evaluation; only a run that ended well has one."
NO_TESTS = "{run}: it is said to be finished, and holds no tests."
ENDS = "{run}: its last test is at step {given}, the protocol asks for {expected}."
TOO_LONG = (
    "{run}: its last test is at step {given}, expected at most {most}: the protocol's {t_max} and one rollout of "
    "{rollout} steps."
)
FIRST_LEFT_OUT = (
    "{run}: its first test is at step {given}, expected within the first rollout ({rollout} steps at most): tests were "
    "left out or moved."
)
TEST_LEFT_OUT = (
    "{run}: the test at step {step} comes {gap} steps after the one before, expected at most {most} (test_interval "
    "{interval}, one rollout of {rollout} steps): a test was left out or moved."
)
TOO_SOON = (
    "{run}: the test at step {step} comes {gap} steps after the one before, the protocol asks for {interval} or more."
)
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
    reasons = [*_state_reasons(run, tasks[key]), *_test_reasons(run, protocol), *_evaluation_reasons(run, protocol)]
    if not (run.run["provenance"] or run.tests):  # it never began, perhaps as its configuration was refused
        return reasons
    try:
        expected = expected_config(protocol, tasks[key], algorithm, seed)
        rollout = longest_rollout(expected)
    except ValueError as error:
        return [*reasons, NOT_ACCEPTED.format(run=run.name, error=error)]
    return [
        *reasons,
        *_origin_reasons(run, tasks[key], expected),
        *_schedule_reasons(run, protocol, tasks[key], rollout),
    ]


def _state_reasons(run: RunFiles, task: Task) -> Iterator[str]:
    state = run.run["state"]
    if state in (FAILED, REFUSED) and not run.run["reason"]:
        yield NO_REASON.format(run=run.name, state={FAILED: "failed", REFUSED: "was refused"}[state])
    if state == REFUSED and (run.tests or run.evaluation is not None):
        yield REFUSED_TESTED.format(run=run.name)
    if state == FAILED and run.evaluation is not None:
        yield FAILED_EVALUATED.format(run=run.name)
    if state in (FINISHED, RUNNING) and run.tests and not run.run["provenance"]:
        yield NO_PROVENANCE.format(run=run.name)
    if state != FINISHED:
        return
    if not run.tests:
        yield NO_TESTS.format(run=run.name)
    elif run.tests[-1].step < task.t_max:
        yield ENDS.format(run=run.name, given=run.tests[-1].step, expected=task.t_max)


def _origin_reasons(run: RunFiles, task: Task, expected: Mapping[str, Any]) -> Iterator[str]:
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
    commit = run.run["provenance"][-1]["commit"] if run.run["provenance"] else None
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


def _schedule_reasons(run: RunFiles, protocol: Protocol, task: Task, rollout: int) -> Iterator[str]:
    """Places of tests: one after the first rollout, then one after the first rollout that ends `test_interval` steps or
    more behind the test before, and one at the end, which alone may come sooner.

    Args:
        rollout: environment steps of a rollout at most.
    """
    if not run.tests:
        return
    interval, steps = protocol.test_interval, [test.step for test in run.tests]
    told = {"run": run.name, "rollout": rollout, "interval": interval}
    if steps[0] > rollout:
        yield FIRST_LEFT_OUT.format(**told, given=steps[0])
    for k, (before, step) in enumerate(pairwise(steps), start=1):
        if step - before > interval + rollout:
            yield TEST_LEFT_OUT.format(**told, step=step, gap=step - before, most=interval + rollout)
        if step - before < interval and k < len(steps) - 1:
            yield TOO_SOON.format(**told, step=step, gap=step - before)
    if steps[-1] > task.t_max + rollout:
        yield TOO_LONG.format(**told, given=steps[-1], most=task.t_max + rollout, t_max=task.t_max)


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
