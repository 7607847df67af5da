"""One network told as several runs: other weights that do the same, and algorithms that began with the same ones."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from benchmarks.leaderboard.bundle.board import add
from benchmarks.leaderboard.bundle.contents import RunFiles, TestLine
from benchmarks.leaderboard.bundle.duplicates import (
    ENOUGH,
    Played,
    Print,
    alike,
    copies,
    finger_print,
    played_by,
    players_told,
    told,
)
from benchmarks.leaderboard.bundle.refusal import Refused
from benchmarks.leaderboard.bundle.strict_json import canonical
from benchmarks.leaderboard.bundle.verification import table, verify
from benchmarks.leaderboard.cells import cells_of
from benchmarks.leaderboard.protocol import load as read_protocol
from registry import evaluation
from tests.benchmarks.leaderboard.bundle.builders import Files, files_of, folder_with, reclaimed, submit

ONE, OTHER = "runs/async-poac-1/vdn/seed-1", "runs/async-poac-1/vdn/seed-2"


def permuted(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same function: hidden units in another order."""
    n = len(weights["fc1.bias"])
    first, second = torch.randperm(n), torch.randperm(n)
    gates = torch.cat([second + k * n for k in range(3)])
    moved = {
        "fc1.weight": weights["fc1.weight"][first], "fc1.bias": weights["fc1.bias"][first],
        "rnn.weight_ih": weights["rnn.weight_ih"][gates][:, first], "rnn.bias_ih": weights["rnn.bias_ih"][gates],
        "rnn.weight_hh": weights["rnn.weight_hh"][gates][:, second], "rnn.bias_hh": weights["rnn.bias_hh"][gates],
        "fc2.weight": weights["fc2.weight"][:, second], "fc2.bias": weights["fc2.bias"],
    }  # fmt: skip
    assert set(moved) == set(weights)
    return {name: value.contiguous() for name, value in moved.items()}


def told_as(files: Files, folder: str, weights: dict[str, Tensor]) -> Files:
    """The files with the run in `folder` played anew by these networks, so that all that is told of it is true."""
    said = json.loads(files[f"{folder}/evaluation.json"])
    columns: list[dict[str, Any]] = []
    for line in files[f"{folder}/tests.jsonl"].splitlines():
        test = json.loads(line)
        found = evaluation.evaluate(said["config"], weights, test["episodes"]["seed"])
        values = {name: [each.values[name] for each in found] for name in test["episodes"] if name != "seed"}
        columns.append({**test, "episodes": {"seed": test["episodes"]["seed"], **values}})
    means = [float(np.mean(test["episodes"]["return"])) for test in columns]
    best = int(np.argmax(means))
    seeds = [json.loads(line)["seed"] for line in files[f"{folder}/episodes.jsonl"].splitlines()]
    episodes = [
        {"seed": each.seed, **each.values, "actions": each.actions.tolist()}
        for each in evaluation.evaluate(said["config"], weights, seeds)
    ]
    return {
        **files,
        f"{folder}/tests.jsonl": b"".join(map(canonical, columns)),
        f"{folder}/evaluation.json": canonical({**said, "step": columns[best]["step"], "test_return": means[best]}),
        f"{folder}/episodes.jsonl": b"".join(map(canonical, episodes)),
        f"{folder}/agent.safetensors": save(weights),
        f"{folder}/last.safetensors": save(weights),
    }


def test_one_network_with_its_units_in_another_order_is_found(real: Files, tmp_path: Path) -> None:
    weights = load(real[f"{ONE}/agent.safetensors"])
    files = reclaimed(told_as(told_as(real, ONE, weights), OTHER, permuted(weights)), tmp_path / "claimed")
    found = verify(folder_with(files, tmp_path / "forged"), seed=1)
    assert [step.state for step in found.steps] == ["passed"] * 3 + ["REFUSED"], table(found)
    said = " ".join(found.steps[3].found)
    assert "vdn, seed 1 and async:poac-1, vdn, seed 2: one run told twice (their networks play 100 of 100 fresh" in said


def of_one_seed(results: Path, folder: Path, seed: int) -> Path:
    """A partial bundle of the one run of this seed."""
    shutil.copytree(results, folder / "results")
    for cell in cells_of(read_protocol(folder / "results" / "protocol.json"), folder / "results"):
        if cell.seed != seed:
            shutil.rmtree(cell.folder)
    return submit(folder / "results", folder / "part.zip", partial=True)


def test_a_network_that_the_board_has_is_found_in_another_order(
    real: Files, real_results: Path, tmp_path: Path
) -> None:
    first = of_one_seed(real_results, tmp_path / "first", 1)
    add(first, verify(first, seed=1), tmp_path / "board")

    def submission(weights: dict[str, Tensor], name: str) -> Path:
        files = files_of(of_one_seed(real_results, tmp_path / name, 2))
        claimed = reclaimed(told_as(files, OTHER, weights), tmp_path / f"{name}-claimed")
        return folder_with(claimed, tmp_path / f"{name}-bundle")

    copy = submission(permuted(load(real[f"{ONE}/agent.safetensors"])), "copy")
    found = verify(copy, seed=2)
    assert 4 == found.tier, table(found)
    with pytest.raises(Refused) as caught:
        add(copy, found, tmp_path / "board")
    (said,) = caught.value.reasons
    assert "add: async:poac-1, vdn, seed 1 of 'A. Author' and async:poac-1, vdn, seed 2: one run told twice" in said
    assert "play 100 of 100 fresh episodes" in said
    own = submission(load(real[f"{OTHER}/agent.safetensors"]), "own")
    add(own, verify(own, seed=2), tmp_path / "board")
    assert 2 == len(list((tmp_path / "board" / "submissions").iterdir()))


def test_a_record_may_lack_what_networks_did() -> None:
    assert told({"task": "t", "algorithm": "vdn", "seed": 1, "hashes": {}}, "name") is None


# what networks do


def player(name: str, actions: list[int], is_first: bool = False, task: str = "t") -> Played:
    algorithm, seed = name.split()
    return Played(name, task, algorithm, int(seed), is_first, tuple(bytes([action]) for action in actions))


def test_networks_that_do_many_things_alike_are_one() -> None:
    many = list(range(100))
    assert len(alike([player("vdn 1", many), player("vdn 2", many), player("qmix 1", many)])) == 3
    assert "play 99 of 100 fresh episodes" in alike([player("vdn 1", many), player("vdn 2", [*many[:99], 0])])[0]
    assert not alike([player("vdn 1", many), player("vdn 2", [*many[:98], 0, 1])])
    assert not alike([player("vdn 1", many), player("vdn 2", many, task="u")])


def test_networks_that_do_few_things_cannot_be_told_apart() -> None:
    few = [k % (ENOUGH - 1) for k in range(100)]
    enough = [k % ENOUGH for k in range(100)]
    assert not alike([player("vdn 1", few), player("vdn 2", few)])
    assert alike([player("vdn 1", enough), player("vdn 2", enough)])
    assert "(1 do fewer than 30 different things" in players_told([player("vdn 1", few), player("vdn 2", enough)])


# algorithms that begin with the same weights


def test_untrained_networks_of_one_seed_are_no_copies() -> None:
    many = list(range(100))
    assert not alike([player("vdn 1", many, True), player("qmix 1", many, True)])
    assert alike([player("vdn 1", many, True), player("qmix 1", many)])
    assert alike([player("vdn 1", many, True), player("vdn 2", many, True)])
    vector = np.ones(8, np.float32)
    prints = [Print(f"{name} 1", "t", name, 1, {}, vector, True) for name in ("vdn", "qmix")]
    assert not copies(prints)
    assert "weights of different algorithms" in copies([prints[0], Print("qmix 1", "t", "qmix", 1, {}, vector)])[0]


def a_run(algorithm: str, seed: int, step: int) -> RunFiles:
    tests = tuple(TestLine(k, None, None, None, {"return": np.zeros(4)}) for k in (0, 100))
    run = {"task": "t", "algorithm": algorithm, "seed": seed}
    return RunFiles("runs/x", run, tests, {"step": step}, ())


@pytest.mark.parametrize(
    "one, other, is_copy",
    [
        (("vdn", 1, 0), ("qmix", 1, 0), False),  # the first test was the best of both
        (("vdn", 1, 0), ("qmix", 1, 100), True),
        (("vdn", 1, 100), ("qmix", 1, 100), True),
        (("vdn", 1, 0), ("vdn", 2, 0), True),
        (("vdn", 1, 0), ("qmix", 2, 0), True),
    ],
)
def test_equal_weights_are_a_copy_unless_both_are_those_of_the_start(
    one: tuple[str, int, int], other: tuple[str, int, int], is_copy: bool
) -> None:
    weights = {"weight": torch.randn(5, 3)}
    assert bool(copies([finger_print(a_run(*each), weights) for each in (one, other)])) == is_copy


def test_almost_equal_weights_of_one_seed_are_a_copy_and_those_of_short_training_are_not() -> None:
    vector = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    noise = np.random.default_rng(1).normal(size=1000).astype(np.float32)

    def said(size: float, *seeds: int) -> list[str]:
        names = ("mvd", "qmix")
        vectors = (vector, vector + np.float32(size) * noise)
        return copies([Print(name, "t", name, seed, {}, each) for name, seed, each in zip(names, seeds, vectors)])

    assert "weights of different algorithms that differ by 1.0e-06" in said(1e-6, 1, 1)[0]
    assert not said(1e-3, 1, 1)
    assert "weights of different seeds that differ by" in said(1e-3, 1, 2)[0]


def test_what_is_played_is_told_by_length_and_actions() -> None:
    actions = [np.zeros((2, 3), np.int64), np.zeros((3, 2), np.int64), np.ones((2, 3), np.int64)]
    assert len(set(played_by(a_run("vdn", 1, 0), actions).actions)) == 3
