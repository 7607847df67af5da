"""Bundles with something changed, by somebody who made the manifest anew: the reason is named."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from async_envs.core.seeding import ABSOLUTE, TEST, episode_seed
from benchmarks.leaderboard.bundle import expected, origin
from benchmarks.leaderboard.bundle.strict_json import canonical
from benchmarks.leaderboard.bundle.verification import table, verify
from tests.benchmarks.leaderboard.bundle.builders import (
    TASK,
    Files,
    edited,
    edited_line,
    files_of,
    folder_with,
    set_to,
    submit,
    write_results,
)

RUNS = "runs/async-tabular-relay"
ONE, TWO = f"{RUNS}/qmix/seed-1", f"{RUNS}/qmix/seed-2"


def refused(files: Files, tmp_path: Path, tier: int = 1) -> str:
    """What the tier says that refuses these files."""
    found = verify(folder_with(files, tmp_path / "forged"), 2)
    assert found.tier == tier - 1 and found.is_refused, table(found)
    assert found.steps[tier - 1].state == "REFUSED" and found.steps[tier].state == "not reached"
    return " ".join(found.steps[tier - 1].found)


def without(files: Files, folder: str) -> Files:
    """The files without a run, wherever it is told."""
    kept = {name: data for name, data in files.items() if not name.startswith(f"{folder}/")}
    return edited(kept, "bundle.json", lambda said: said["runs"].remove(folder))


def test_the_right_bundle_is_recomputed(right_bundle: Path, right: Files, tmp_path: Path) -> None:
    for path in (right_bundle, folder_with(right, tmp_path / "folder", signed=False)):
        found = verify(path, 2)
        assert [step.state for step in found.steps] == ["passed", "passed", "not asked", "not asked"], table(found)
        assert found.tier == 2 and not found.is_refused


# tier 2: numbers


@pytest.mark.parametrize("place", [("final", "mean"), ("final", "low"), ("absolute", "high"), ("absolute", "n")])
def test_a_claimed_number_that_was_changed_is_found(place: tuple[str, str], right: Files, tmp_path: Path) -> None:
    def change(claims: Any) -> None:
        claims["rows"][0][place[0]][place[1]] += 1 if place[1] == "n" else 1e-6

    said = refused(edited(right, "claims.json", change), tmp_path, 2)
    assert f"rows, {TASK} qmix, {place[0]}, {place[1]}" in said and "is claimed" in said


def test_a_claim_that_was_left_out_is_found(right: Files, tmp_path: Path) -> None:
    files = edited(right, "claims.json", lambda claims: claims["rows"].pop())
    assert f"{TASK} vdn: not claimed, though the raw values give it" in refused(files, tmp_path, 2)


def test_a_rank_that_was_changed_is_found(right: Files, tmp_path: Path) -> None:
    files = edited(right, "claims.json", set_to("rows", 1, "rank", value=7))
    assert "rank: 7 is claimed" in refused(files, tmp_path, 2)


def test_a_raw_value_that_was_changed_is_found(right: Files, tmp_path: Path) -> None:
    change = set_to("episodes", "return", 0, value=100.0)
    said = refused(edited_line(right, f"{ONE}/tests.jsonl", 3, change), tmp_path, 2)
    assert f"rows, {TASK} qmix, final, mean" in said


def test_an_evaluation_of_another_model_than_the_best_is_found(right: Files, tmp_path: Path) -> None:
    tests = [json.loads(line) for line in right[f"{ONE}/tests.jsonl"].splitlines()]
    means = {test["step"]: sum(test["episodes"]["return"]) / 4 for test in tests}
    worst = min(means, key=lambda step: means[step])
    files = edited(right, f"{ONE}/evaluation.json", set_to("step", value=worst))
    assert "evaluation.json says test_return" in refused(files, tmp_path, 2)
    files = edited(files, f"{ONE}/evaluation.json", set_to("test_return", value=means[worst]))
    assert "the best test was at step" in refused(files, tmp_path, 2)
    files = edited(right, f"{ONE}/evaluation.json", set_to("step", value=17))
    assert "where the run has no test" in refused(files, tmp_path, 2)


# tier 1: seeds and copies


def test_a_missing_seed_is_found(right: Files, tmp_path: Path) -> None:
    said = refused(without(right, TWO), tmp_path)
    assert said == f"seed sets are not complete, and the bundle does not say so: {TASK} qmix seed 2: not run."


def test_missing_parts_are_those_that_are_missing(right: Files, tmp_path: Path) -> None:
    part = {"task": TASK, "algorithm": "qmix", "seed": 2, "what": "run"}
    files = edited(without(right, TWO), "bundle.json", set_to("missing", value=[part]))
    assert "partial=False, though 1 parts are missing" in refused(files, tmp_path)
    files = edited(right, "bundle.json", set_to("missing", value=[part]))
    assert "it says that parts are missing which are there" in refused(files, tmp_path)


def copied(files: Files, seed: int, reseed: bool) -> Files:
    """Seed 1 of qmix told again as another seed."""
    folder = f"{RUNS}/qmix/seed-{seed}"
    copy = {name.replace(ONE, folder): data for name, data in files.items() if name.startswith(f"{ONE}/")}
    files = edited({**files, **copy}, f"{folder}/run.json", set_to("seed", value=seed))

    def own(run: Any) -> None:
        for start in run["provenance"]:
            start["config"]["seed"] = seed

    files = edited(files, f"{folder}/run.json", own)
    files = edited(files, f"{folder}/evaluation.json", set_to("config", "seed", value=seed))
    if reseed:
        n_tests = len(files[f"{folder}/tests.jsonl"].splitlines())
        for k in range(n_tests):
            seeds = [episode_seed(seed, TEST, 4 * k + j) for j in range(4)]
            files = edited_line(files, f"{folder}/tests.jsonl", k, set_to("episodes", "seed", value=seeds))
        for k in range(8):
            change = set_to("seed", value=episode_seed(seed, ABSOLUTE, k))
            files = edited_line(files, f"{folder}/episodes.jsonl", k, change)
    return files


def test_a_run_told_again_under_another_seed_is_found(right: Files, tmp_path: Path) -> None:
    said = refused(copied(right, 2, reseed=False), tmp_path)
    assert "its episodes do not have the seeds that seed 2 gives" in said
    said = refused(copied(right, 2, reseed=True), tmp_path)
    assert "seed 1 and async:tabular-relay, qmix, seed 2: one run told twice (equal tests and times, weights)" in said


def test_a_copy_with_other_times_and_almost_the_same_weights_is_found(right: Files, tmp_path: Path) -> None:
    files = copied(right, 2, reseed=True)
    name = f"{TWO}/agent.safetensors"
    weights = {key: value + 1e-3 * torch.randn_like(value) for key, value in load(files[name]).items()}
    files = {**files, name: save(weights)}
    for k in range(1, 4):
        files = edited_line(files, f"{TWO}/tests.jsonl", k, set_to("wall_s", value=k * 10.0))
    assert "weights of different seeds that differ by" in refused(files, tmp_path)


def test_a_run_told_twice_in_the_list_is_refused(right: Files, tmp_path: Path) -> None:
    files = edited(right, "bundle.json", lambda said: said["runs"].append(ONE))
    assert "non-unique elements" in refused(files, tmp_path)


def test_a_bad_test_that_was_left_out_is_found(right: Files, tmp_path: Path) -> None:
    lines = right[f"{ONE}/tests.jsonl"].splitlines(keepends=True)
    files = {**right, f"{ONE}/tests.jsonl": b"".join(lines[:1] + lines[2:])}
    assert "the test at step 200: its episodes do not have the seeds" in refused(files, tmp_path)


def test_a_bad_episode_that_was_left_out_is_found(right: Files, tmp_path: Path) -> None:
    lines = right[f"{ONE}/episodes.jsonl"].splitlines(keepends=True)
    files = {**right, f"{ONE}/episodes.jsonl": b"".join(lines[1:])}
    assert "7 episodes, evaluation.json says 8" in refused(files, tmp_path)
    files = edited(files, f"{ONE}/evaluation.json", set_to("n", value=7))
    said = refused(files, tmp_path)
    assert "7 episodes of its last evaluation, the protocol asks for 8" in said


def test_a_run_that_was_cut_short_is_found(right: Files, tmp_path: Path) -> None:
    lines = right[f"{ONE}/tests.jsonl"].splitlines(keepends=True)
    files = {**right, f"{ONE}/tests.jsonl": b"".join(lines[:3])}
    assert "its last test is at step 200, the protocol asks for 300" in refused(files, tmp_path)


def test_a_failed_run_that_is_left_out_is_found(tmp_path: Path) -> None:
    results = write_results(tmp_path / "results", states={(TASK, "qmix", 2): "failed"})
    files = files_of(submit(results, tmp_path / "bundle.zip"))
    assert f"{TASK} qmix seed 2: not run" in refused(without(files, TWO), tmp_path)
    files = edited(files, f"{TWO}/run.json", set_to("reason", value=None))
    assert "it failed, and no reason is told" in refused(files, tmp_path)


# tier 1: settings, environments, protocols


@pytest.mark.parametrize("name", [f"{ONE}/run.json", f"{ONE}/evaluation.json", "bundle.json"])
def test_a_wrong_environment_hash_is_found(name: str, right: Files, tmp_path: Path) -> None:
    places: dict[str, tuple[Any, ...]] = {
        "run.json": ("provenance", 0, "environment"), "bundle.json": ("environments", TASK),
    }  # fmt: skip
    place = places.get(name.rpartition("/")[2], ("environment",))
    said = refused(edited(right, name, set_to(*place, value="e" * 64)), tmp_path)
    assert "environment hash eeeeeeeeeeee…, this code's is" in said and "other rules" in said


def test_an_earlier_hash_that_is_known_to_have_the_same_rules_is_accepted(
    right: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = edited(right, f"{ONE}/run.json", set_to("provenance", 0, "environment", value="e" * 64))
    known = {TASK: {"e" * 64: "comments were edited"}}
    monkeypatch.setattr(origin, "_earlier", lambda: known)
    assert verify(folder_with(files, tmp_path / "earlier"), 2).tier == 2
    known[TASK] = {"d" * 64: "comments were edited"}
    assert "environment hash eeeeeeeeeeee…" in refused(files, tmp_path)


@pytest.mark.parametrize(
    "setting, value", [("lr", 0.1), ("t_max", 10**7), ("seed", 2), ("gamma", 1), ("a_new_one", True), ("double_q", 1)]
)
def test_a_setting_that_the_protocol_does_not_ask_for_is_found(
    setting: str, value: Any, right: Files, tmp_path: Path
) -> None:
    files = edited(right, f"{ONE}/run.json", set_to("provenance", 0, "config", setting, value=value))
    assert f"seed 1: start 1: {setting}={value!r}, the protocol asks for" in refused(files, tmp_path)


def test_a_setting_that_one_version_lacks_counts_as_what_is_listed(
    right: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ("provenance", 0, "config")
    younger = edited(right, f"{ONE}/run.json", set_to(*place, "a_later_one", value=True))
    older = edited(right, f"{ONE}/run.json", lambda said: said["provenance"][0]["config"].pop("double_q"))
    assert "a_later_one=True, the protocol asks for None" in refused(younger, tmp_path)
    assert "double_q=None, the protocol asks for True" in refused(older, tmp_path)
    monkeypatch.setattr(expected, "_implied", lambda: {"a_later_one": True, "double_q": True})
    for name, files in {"younger": younger, "older": older}.items():
        assert verify(folder_with(files, tmp_path / name), 2).tier == 2
    monkeypatch.setattr(expected, "_implied", lambda: {"a_later_one": 1, "double_q": False})
    for files, name in ((younger, "a_later_one"), (older, "double_q")):
        assert f"{name}=" in refused(files, tmp_path)


def test_settings_that_are_the_runs_own_business_are_accepted(right: Files, tmp_path: Path) -> None:
    files = right
    for setting, value in {"use_cuda": True, "threads": 8, "log_interval": 1, "checkpoint_interval": 7}.items():
        files = edited(files, f"{ONE}/run.json", set_to("provenance", 0, "config", setting, value=value))
    assert verify(folder_with(files, tmp_path / "forged"), 2).tier == 2


@pytest.mark.parametrize(
    "name, value, reason",
    [("task", "async:poac-9", "has no such task"), ("algorithm", "mvd", "has no such algorithm"),
     ("seed", 3, "has no such seed"), ("seed", 2, "expected what the folder says")],
)  # fmt: skip
def test_a_run_of_another_cell_is_found(name: str, value: Any, reason: str, right: Files, tmp_path: Path) -> None:
    assert reason in refused(edited(right, f"{ONE}/run.json", set_to(name, value=value)), tmp_path)


def test_an_edited_protocol_is_found(right: Files, tmp_path: Path) -> None:
    files = edited(right, "bundle.json", set_to("protocol", "test_nepisode", value=2))
    assert "edited by hand" in refused(files, tmp_path)


def test_a_protocol_under_a_shipped_name_is_the_shipped_one(right: Files, tmp_path: Path) -> None:
    def rename(said: Any) -> None:
        said["protocol"]["name"] = "small"
        del said["protocol"]["hash"]
        from benchmarks.leaderboard import protocol as protocols

        said["protocol"] = protocols.as_dict(protocols.checked(said["protocol"], Path("x")))

    assert "it was edited, or is of another version" in refused(edited(right, "bundle.json", rename), tmp_path)


# tier 1: files and forms


def test_files_of_no_run_are_found(right: Files, tmp_path: Path) -> None:
    files = {**right, f"{RUNS}/mvd/seed-1/run.json": right[f"{ONE}/run.json"]}
    assert "bundle.json does not tell of the run" in refused(files, tmp_path)
    files = edited(right, "bundle.json", lambda said: said["runs"].append(f"{RUNS}/mvd/seed-1"))
    assert "it has no run.json" in refused(files, tmp_path)


def test_an_evaluation_without_its_weights_is_found(right: Files, tmp_path: Path) -> None:
    files = {name: data for name, data in right.items() if name != f"{ONE}/agent.safetensors"}
    assert "without agent.safetensors" in refused(files, tmp_path)


@pytest.mark.parametrize("kind", ["nan", "cut", "none", "float16"])
def test_weights_that_are_no_weights_are_found(kind: str, right: Files, tmp_path: Path) -> None:
    name = f"{ONE}/agent.safetensors"
    data = {
        "nan": save({"weight": torch.full((3,), float("nan"))}), "cut": right[name][:-1], "none": save({}),
        "float16": save({"weight": torch.zeros(3, dtype=torch.float16)}),
    }[kind]  # fmt: skip
    reasons = {"nan": "not finite", "cut": "not a safetensors", "none": "0 tensors", "float16": "expected one of"}
    assert reasons[kind] in refused({**right, name: data}, tmp_path)


@pytest.mark.parametrize(
    "line, change, reason",
    [
        (0, set_to("episodes", "return", 0, value="5"), "a value of 'return' is not a number"),
        (0, set_to("episodes", "return", 0, value=True), "a value of 'return' is not a number"),
        (0, set_to("episodes", "return", value=[1.0]), "columns are of different lengths"),
        (0, set_to("step", value=-1), "expected a whole number"),
        (1, set_to("step", value=0), "expected rising steps"),
        (1, set_to("wall_s", value=-3.0), "expected seconds"),
        (3, set_to("wall_s", value=0.5), "wall_s fall from"),
        (3, set_to("decisions", value=1), "decisions fall from"),
        (0, set_to("more", value=1), "this is no test"),
    ],
)
def test_a_line_that_is_no_test_is_found(line: int, change: Any, reason: str, right: Files, tmp_path: Path) -> None:
    assert reason in refused(edited_line(right, f"{ONE}/tests.jsonl", line, change), tmp_path)


@pytest.mark.parametrize(
    "change, reason",
    [
        (set_to("actions", 0, 0, value=-1), "an action is not a whole number"),
        (set_to("actions", 0, 0, value=2**40), "an action is not a whole number"),
        (set_to("actions", 0, value=[1]), "some steps have more actions than others"),
        (set_to("actions", value=[]), "actions are a list"),
        (set_to("length", value=3), "steps of actions"),
        (set_to("return", value=None), "is not a number"),
        (set_to("seed", value=2**64), "expected a whole number"),
    ],
)
def test_a_line_that_is_no_episode_is_found(change: Any, reason: str, right: Files, tmp_path: Path) -> None:
    assert reason in refused(edited_line(right, f"{ONE}/episodes.jsonl", 0, change), tmp_path)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "a\x1b[31mname", "a\u202ename", "a\u061cname", "a\nname", "", "x" * 81]
)
def test_a_submissions_name_that_could_do_harm_is_refused(name: str, right: Files, tmp_path: Path) -> None:
    said = refused(edited(right, "bundle.json", set_to("submission", "name", value=name)), tmp_path)
    assert "submission.name" in said and "\x1b" not in said and "\u202e" not in said


def test_a_document_with_something_more_is_refused(right: Files, tmp_path: Path) -> None:
    for name in ("bundle.json", "claims.json", f"{ONE}/run.json", f"{ONE}/evaluation.json"):
        said = refused(edited(right, name, set_to("trojan", value=1)), tmp_path)
        assert f"{name}: the whole of it: Additional properties" in said
        assert "schema" in refused(edited(right, name, set_to("schema", value=2)), tmp_path)


# tier 1: what the configuration means, where tests stand, how a run ended


def test_a_dotted_name_cannot_hide_a_nested_value(right: Files, tmp_path: Path) -> None:
    def hide(config: Any) -> None:
        config["env_args.vsp"] = config["env_args"]["vsp"]
        config["env_args"]["vsp"] = not config["env_args"]["vsp"]

    for name, place in (("run.json", ("provenance", 0, "config")), ("evaluation.json", ("config",))):
        def change(document: Any) -> None:
            for part in place:
                document = document[part]
            hide(document)

        said = refused(edited(right, f"{ONE}/{name}", change), tmp_path)
        assert "env_args.vsp=" in said and "the protocol asks for no name with a dot in it" in said
    nested = edited(right, f"{ONE}/run.json", set_to("provenance", 0, "config", "env_args", "a.b", value=None))
    assert "a.b=None, the protocol asks for no name with a dot in it" in refused(nested, tmp_path)


@pytest.mark.parametrize("setting, value", [("checkpoint_path", "elsewhere/models"), ("load_step", 5_000_000)])
def test_a_run_that_began_with_other_networks_is_found(
    setting: str, value: Any, right: Files, tmp_path: Path
) -> None:
    files = edited(right, f"{ONE}/run.json", set_to("provenance", 0, "config", setting, value=value))
    assert f"start 1: {setting}={value!r}, the protocol asks for" in refused(files, tmp_path)


@pytest.mark.parametrize(
    "steps, reason",
    [
        ((0, 300), "the test at step 300 comes 300 steps after the one before, expected at most"),
        ((200, 300), "its first test is at step 200, expected within the first rollout"),
        ((0, 100, 200, 300_000), "its last test is at step 300000, expected at most"),
        ((0, 50, 100, 200, 300), "the test at step 50 comes 50 steps after the one before, the protocol asks for 100"),
    ],
)
def test_tests_that_are_not_where_the_protocol_has_them_are_found(
    steps: tuple[int, ...], reason: str, right: Files, tmp_path: Path
) -> None:
    """Even if the episodes that are left have the seeds that they would have."""
    line = json.loads(right[f"{ONE}/tests.jsonl"].splitlines()[0])
    tests = []
    for k, step in enumerate(steps):
        seeds = [episode_seed(1, TEST, 4 * k + j) for j in range(4)]
        told = {"step": step, "decisions": step, "wall_s": float(step)}
        tests.append(canonical({**line, **told, "episodes": {**line["episodes"], "seed": seeds}}))
    assert reason in refused({**right, f"{ONE}/tests.jsonl": b"".join(tests)}, tmp_path)


@pytest.mark.parametrize("name", ["step", "decisions"])
@pytest.mark.parametrize("value", [2**53, 2**63])
def test_a_step_that_no_table_can_hold_is_refused(name: str, value: int, right: Files, tmp_path: Path) -> None:
    files = edited_line(right, f"{ONE}/tests.jsonl", 3, set_to(name, value=value))
    assert f"{name}={value}, expected a whole number below 2**53" in refused(files, tmp_path)


@pytest.mark.parametrize(
    "state, reason, expected",
    [
        ("refused", "x", "said to have been refused before it began, and holds tests or an evaluation"),
        ("refused", None, "it was refused, and no reason is told"),
        ("failed", "x", "said to have failed, and holds a last evaluation"),
        ("failed", None, "it failed, and no reason is told"),
    ],
)
def test_a_run_that_did_not_end_well_has_a_reason_and_no_evaluation(
    state: str, reason: str | None, expected: str, right: Files, tmp_path: Path
) -> None:
    files = edited(right, f"{ONE}/run.json", set_to("state", value=state))
    assert expected in refused(edited(files, f"{ONE}/run.json", set_to("reason", value=reason)), tmp_path)


def test_a_protocols_name_does_not_end_in_a_line_feed(right: Files, tmp_path: Path) -> None:
    files = edited(right, "bundle.json", set_to("protocol", "name", value="paper\n"))
    said = refused(files, tmp_path)
    assert "its protocol is not accepted" in said and "does not match" in said
