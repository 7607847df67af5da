"""Tier 4 on tests: those that claims are made from come out as their networks play them again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load, save

from benchmarks.leaderboard.bundle.contents import TestLine
from benchmarks.leaderboard.bundle.refusal import Refused
from benchmarks.leaderboard.bundle.retesting import Retests, n_otherwise
from benchmarks.leaderboard.bundle.verification import Verification, table, verify
from tests.benchmarks.leaderboard.bundle.builders import Files, edited, edited_line, folder_with, reclaimed, set_to

ONE, OTHER = "runs/async-poac-1/vdn/seed-1", "runs/async-poac-1/vdn/seed-2"
LAST = "last.safetensors"


def verified(files: Files, tmp_path: Path) -> Verification:
    """What is found of these files, with the claims that they give."""
    found = verify(folder_with(reclaimed(files, tmp_path / "claimed"), tmp_path / "forged"), seed=1)
    assert [step.state for step in found.steps[:3]] == ["passed"] * 3, table(found)
    assert found.tier == (4 if found.steps[3].state == "passed" else 3)
    return found


def refused(files: Files, tmp_path: Path) -> str:
    """What tier 4 says that refuses these files."""
    found = verified(files, tmp_path)
    assert found.steps[3].state == "REFUSED", table(found)
    return " ".join(found.steps[3].found)


def lines_of(files: Files, folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files[f"{folder}/tests.jsonl"].splitlines()]


def chosen(files: Files, folder: str) -> int:
    """Which test chose the networks that were evaluated."""
    step = json.loads(files[f"{folder}/evaluation.json"])["step"]
    return [test["step"] for test in lines_of(files, folder)].index(step)


def with_test(files: Files, folder: str, k: int, returns: list[float]) -> Files:
    """The files with other returns of one test, and the mean of the one that was chosen told anew."""
    files = edited_line(files, f"{folder}/tests.jsonl", k, set_to("episodes", "return", value=returns))
    if k != chosen(files, folder):
        return files
    return edited(files, f"{folder}/evaluation.json", set_to("test_return", value=float(np.mean(returns))))


def test_the_best_and_the_last_test_of_each_run_are_played_again(real: Files, tmp_path: Path) -> None:
    assert f"{ONE}/{LAST}" in real and f"{OTHER}/{LAST}" in real
    found = verified(real, tmp_path)
    assert found.tier == 4, table(found)
    assert "c: 16 episodes of 4 tests, the best and the last of 2 runs: the same values" in found.steps[3].found


def test_a_last_test_that_was_lowered_or_lifted_is_found(real: Files, tmp_path: Path) -> None:
    """The best test stays the best one, so that no other tier can know."""
    last = len(lines_of(real, OTHER)) - 1
    assert chosen(real, OTHER) != last
    best = json.loads(real[f"{OTHER}/evaluation.json"])["test_return"]
    for value in (best - 50.0, best - 1e-6):
        said = refused(with_test(real, OTHER, last, [value] * 4), tmp_path)
        assert "4 of 4 episodes of the test at step" in said and f"return is {value:.6g} as recorded" in said


def test_a_last_test_that_is_made_the_best_is_found(real: Files, tmp_path: Path) -> None:
    files, tests = real, lines_of(real, ONE)
    files = edited(files, f"{ONE}/evaluation.json", set_to("step", value=tests[-1]["step"]))
    files = with_test(files, ONE, len(tests) - 1, [1000.0, 1001.0, 1002.0, 1003.0])
    said = refused(files, tmp_path)
    assert f"4 of 4 episodes of the test at step {tests[-1]['step']} come out otherwise" in said
    assert "return is 1000 as recorded" in said


def test_a_best_test_that_was_lifted_is_found(real: Files, tmp_path: Path) -> None:
    k = chosen(real, ONE)
    test = lines_of(real, ONE)[k]
    lifted = [value + 1.0 for value in test["episodes"]["return"]]
    assert f"of the test at step {test['step']} come out" in refused(with_test(real, ONE, k, lifted), tmp_path)


def test_another_metric_than_the_return_is_compared_too(real: Files, tmp_path: Path) -> None:
    files = edited_line(real, f"{ONE}/tests.jsonl", -1, set_to("episodes", "battle_won", value=[7.0] * 4))
    assert "battle_won is 7 as recorded" in refused(files, tmp_path)
    files = edited_line(real, f"{ONE}/tests.jsonl", -1, set_to("episodes", "praise", value=[7.0] * 4))
    assert "praise is 7 as recorded, nan as played" in refused(files, tmp_path)


def test_last_networks_of_another_run_are_found(real: Files, tmp_path: Path) -> None:
    one, other = f"{ONE}/{LAST}", f"{OTHER}/{LAST}"
    said = refused({**real, one: real[other], other: real[one]}, tmp_path)
    assert "It was not played so, or by other networks" in said


def test_last_networks_that_are_no_networks_are_refused(real: Files, tmp_path: Path) -> None:
    name = f"{ONE}/{LAST}"
    found = verify(folder_with({**real, name: real[name][:-1]}, tmp_path / "forged"))
    assert found.tier == 0 and f"{name}: this is not a safetensors file" in found.steps[0].found[0]
    few = dict(list(load(real[name]).items())[:1])
    assert "its networks cannot be played" in refused({**real, name: save(few)}, tmp_path)


def test_without_its_last_networks_a_last_test_is_not_proven(real: Files, tmp_path: Path) -> None:
    """As in results of older versions; the tier is 3, and nothing is refused."""
    last = len(lines_of(real, ONE)) - 1
    lacking = [folder for folder in (ONE, OTHER) if chosen(real, folder) != last]
    assert lacking
    found = verified({name: data for name, data in real.items() if not name.endswith(LAST)}, tmp_path)
    assert found.steps[3].state == "not proven" and found.tier == 3 and not found.is_refused
    assert f"last test not proven: {len(lacking)} of 2 runs lack last.safetensors" in found.steps[3].found[-1]
    assert "c: 8 episodes of 2 tests, the best and some of the last of 2 runs: the same values" in found.steps[3].found
    assert found.cells == {"async:poac-1 vdn": 3} and "not proven" in table(found)


def test_last_networks_without_an_evaluation_are_refused(real: Files, tmp_path: Path) -> None:
    files = {name: data for name, data in real.items() if not name.startswith(ONE) or name.endswith((".jsonl", LAST))}
    files = {**files, f"{ONE}/run.json": real[f"{ONE}/run.json"]}
    files.pop(f"{ONE}/episodes.jsonl")
    found = verify(folder_with(files, tmp_path / "forged"), 1)
    assert "last.safetensors without evaluation.json" in found.steps[0].found[0]


# how much ties may change


def a_test(returns: list[float]) -> TestLine:
    return TestLine(100, None, None, tuple(range(len(returns))), {"return": np.array(returns)})


def played(returns: list[float]) -> list[dict[str, Any]]:
    return [{"return": value, "length": 3} for value in returns]


def test_one_episode_may_differ_within_what_the_others_reach() -> None:
    right = [float(k) for k in range(20)]
    for value, n in ((3.0, 1), (0.0, 1), (19.0, 1), (5.0, 0)):
        assert n_otherwise("a run", a_test([*right[:5], value, *right[6:]]), played(right)) == n
    for value in (19.5, -0.5, 1000.0):
        with pytest.raises(Refused, match="1 of 20 episodes of the test at step 100"):
            n_otherwise("a run", a_test([*right[:5], value, *right[6:]]), played(right))
    with pytest.raises(Refused, match="2 of 20 episodes"):
        n_otherwise("a run", a_test([*right[:4], 5.0, 4.0, *right[6:]]), played(right))


def test_one_in_a_hundred_of_all_test_episodes_may_differ() -> None:
    assert "c: 200 episodes of 10 tests, the best and the last of 5 runs" in Retests(5, 10, 200, 2).told()
    assert "(2 differ by ties)" in Retests(5, 10, 200, 2).told()
    for tests in (Retests(5, 10, 200, 3), Retests(5, 10, 99, 1)):
        with pytest.raises(Refused, match="come out otherwise when their networks play them again, expected at most"):
            tests.told()
