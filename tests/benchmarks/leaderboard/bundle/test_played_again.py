"""Tiers 3 and 4 on real runs: what was recorded is what is played, by these networks."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from benchmarks.leaderboard.bundle.reevaluation import ERROR, compatible, noticeable
from benchmarks.leaderboard.bundle.strict_json import canonical
from benchmarks.leaderboard.bundle.verification import Verification, table, verify
from tests.benchmarks.leaderboard.bundle.builders import Files, edited, edited_line, folder_with

ONE, OTHER = "runs/async-poac-1/vdn/seed-1", "runs/async-poac-1/vdn/seed-2"


def refused(files: Files, tmp_path: Path, tier: int, highest: int = 4) -> str:
    """What the tier says that refuses these files."""
    found = verify(folder_with(files, tmp_path / "forged"), highest, seed=1)
    assert [step.state for step in found.steps[:tier]] == ["passed"] * (tier - 1) + ["REFUSED"], table(found)
    assert found.tier == tier - 1
    return " ".join(found.steps[tier - 1].found)


def test_a_real_bundle_reaches_every_tier(real_bundle: Path) -> None:
    found = verify(real_bundle, seed=1)
    assert [step.state for step in found.steps] == ["passed"] * 4, table(found)
    assert found.tier == 4 and found.cells == {"async:poac-1 vdn": 4}
    assert "12 episodes of 2 runs" in found.steps[2].found[0]
    assert "12 recorded episodes of 2 runs: the same actions and values" in found.steps[3].found[0]
    assert "200 fresh episodes (seed 1)" in found.steps[3].found[1]


def test_fresh_episodes_are_drawn_anew_each_time(real_bundle: Path) -> None:
    seeds: set[int] = {verify(real_bundle, 1).held_out_seed for _ in range(2)}
    assert len(seeds) == 2


def test_an_edited_action_is_found_by_playing(real: Files, tmp_path: Path) -> None:
    episode = json.loads(real[f"{ONE}/episodes.jsonl"].splitlines()[0])
    busy = next((t, i) for t, row in enumerate(episode["actions"]) for i, action in enumerate(row) if action == 1)
    assert busy

    def act(value: dict) -> None:
        value["actions"][busy[0]][busy[1]] = 2  # an executing agent can only continue

    said = refused(edited_line(real, f"{ONE}/episodes.jsonl", 0, act), tmp_path, 3, 3)
    assert "action 2 is not available" in said and "It was not played so" in said


def test_an_edited_return_is_found_by_playing_even_if_claims_are_made_anew(real: Files, tmp_path: Path) -> None:
    def better(value: dict) -> None:
        value["return"] += 1e-6

    files = edited_line(real, f"{ONE}/episodes.jsonl", 2, better)
    claims = json.loads(files["claims.json"])
    row = next(row for row in claims["rows"] if row["algorithm"] == "vdn")
    returns = {
        folder: np.mean([json.loads(line)["return"] for line in files[f"{folder}/episodes.jsonl"].splitlines()])
        for folder in (ONE, OTHER)
    }
    means = sorted(returns.values())
    row["absolute"].update(mean=float(np.mean(means)), low=float(means[0]), high=float(means[1]))
    said = refused({**files, "claims.json": canonical(claims)}, tmp_path, 3, 3)
    assert "seed 1: episode with seed" in said and "return is" in said and "when its actions are played again" in said


def test_a_shortened_episode_is_found_by_playing(real: Files, tmp_path: Path) -> None:
    def cut(value: dict) -> None:
        value["actions"] = value["actions"][:-1]
        value["length"] -= 1

    assert "It was cut short" in refused(edited_line(real, f"{ONE}/episodes.jsonl", 1, cut), tmp_path, 3, 3)


def test_swapped_weights_are_found_by_playing(real: Files, tmp_path: Path) -> None:
    one, other = f"{ONE}/agent.safetensors", f"{OTHER}/agent.safetensors"
    said = refused({**real, one: real[other], other: real[one]}, tmp_path, 4)
    assert "these are not the networks that were evaluated" in said


def test_weights_of_another_shape_are_refused(real: Files, tmp_path: Path) -> None:
    name = f"{ONE}/agent.safetensors"
    weights = {**load(real[name]), "fc1.weight": torch.zeros(3, 3)}
    assert "its networks cannot be played" in refused({**real, name: save(weights)}, tmp_path, 4)


def test_weights_that_overfit_the_recorded_episodes_are_found_on_fresh_ones() -> None:
    rng = np.random.default_rng(0)
    found = compatible("a run", rng.normal(6.0, 1.0, 32), rng.normal(5.0, 1.0, 100), ERROR / 10, rng)
    assert found.p < ERROR / 10


def test_equal_returns_are_compatible_and_other_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    assert compatible("a run", np.full(6, 2.0), np.full(100, 2.0), 0.001, rng).p == 1.0
    assert compatible("a run", np.full(6, 2.0), np.full(100, 1.0), 0.001, rng).p < 0.001


@pytest.mark.parametrize("n", [4, 32])
def test_a_right_run_is_refused_as_seldom_as_is_said(n: int) -> None:
    """Returns of 0 and 100, rarely 100: no normal distribution. 2,000 right runs at level 0.005: at most 10 +- 3.2."""
    rng = np.random.default_rng(7)
    level = 0.005
    samples = [(rng.random(n) < 0.2, rng.random(100) < 0.2) for _ in range(2000)]
    refused = [compatible("", one * 100.0, other * 100.0, level, rng).p < level for one, other in samples]
    assert sum(refused) <= 10 + 3 * 3.2


def test_the_difference_said_to_be_noticed_is_noticed() -> None:
    """By 90 in 100 forgeries; here 100, so 90 +- 3."""
    rng = np.random.default_rng(3)
    given = rng.normal(0.0, 1.0, (100, 32))
    p = [
        compatible("", row, rng.normal(noticeable(row, 100, 0.01), row.std(ddof=1), 100), 0.01, rng).p for row in given
    ]
    assert 80 <= sum(value < 0.01 for value in p) <= 98


def test_a_protocol_without_evaluations_stops_at_tier_2(right: Files, real: Files, tmp_path: Path) -> None:
    from tests.benchmarks.leaderboard.bundle.builders import small_protocol, submit, write_results

    results = write_results(tmp_path / "results", small_protocol(absolute_episodes=0))
    found: Verification = verify(submit(results, tmp_path / "plain.zip"))
    assert [step.state for step in found.steps] == ["passed", "passed", "nothing to check", "nothing to check"]
    assert found.tier == 2 and not found.is_refused


def test_documents_that_ask_for_a_huge_network_are_refused(real: Files, tmp_path: Path) -> None:
    """Before any memory is taken: the protocol does not ask for it."""

    def grow(value: dict) -> None:
        value["config"]["hidden_dim"] = 10**9

    said = refused(edited(real, f"{ONE}/evaluation.json", grow), tmp_path, 1)
    assert "hidden_dim=1000000000, the protocol asks for 8" in said
