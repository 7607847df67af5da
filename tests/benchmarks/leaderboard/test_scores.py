"""Reference scores are what the measuring says, and what is kept is used."""

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from benchmarks.leaderboard import scores
from benchmarks.leaderboard.__main__ import main
from benchmarks.leaderboard.protocol import available, load
from registry import catalog
from registry.catalog import ReferenceScores, reference_scores


def test_every_task_of_the_protocols_has_scores():
    names = ("paper", "standard", "small", "smoke")
    tasks = [task for name in names for task in load(name).tasks if available(task) is None]
    assert len(tasks) > 10
    for task in tasks:
        kept = reference_scores(task.key)
        assert kept is not None, task.key
        assert kept.random < kept.best and kept.episodes >= 2_000
        options = {name.removeprefix("env_args.") for name in task.settings if name.startswith("env_args.")}
        assert options <= set(kept.holds_with), task.key


def test_scores_belong_to_the_key_however_it_is_written():
    assert reference_scores("async:poac") == reference_scores("async:poac-1")
    assert reference_scores("async:tabular-file") is None
    with pytest.raises(ValueError, match="poac-7"):
        reference_scores("async:poac-7")


@pytest.mark.parametrize("key, episodes", [("async:tabular-relay", 400), ("async:tabular-climbing", 400)])
def test_what_is_kept_can_be_measured_again(key, episodes):
    """Random play of fewer episodes lies within four of both standard errors; the optimum is exact."""
    measured = scores.measure(key, episodes)
    assert "as kept" == scores.verdict(reference_scores(key), measured)
    assert reference_scores(key).best == measured.best


@pytest.mark.parametrize("key", ["async:overcooked-A", "async:overcooked-B", "async:overcooked-C"])
def test_a_plan_of_overcooked_comes_to_what_is_kept(key):
    """One delivery, three rewarded chops, no wrong delivery: 230 less a tenth for each step."""
    plan = catalog.family_scores("overcooked")["plans"][key]
    simulator = catalog.make(key)
    act = scores.follow(simulator, plan)
    simulator.reset([0])
    total = 0.0
    while not (simulator.terminated | simulator.truncated).all():
        simulator.step(act())
        total += float(simulator.reward[0])
    found = {name: float(values[0]) for name, values in simulator.metrics.items()}
    assert {"battle_won": 1.0, "chops": 3.0, "wrong_deliveries": 0.0} == found
    assert pytest.approx(230 - 0.1 * int(simulator.t[0]), abs=1e-3) == total
    assert pytest.approx(reference_scores(key).best, abs=1e-3) == total


@pytest.mark.slow
def test_the_best_scripted_team_of_poac_is_measured_again():
    assert "as kept" == scores.verdict(reference_scores("async:poac-1"), scores.measure("async:poac-1", 500))


def test_random_play_is_uniform_over_the_masks():
    """One row with three of four open: each a third of 6,000 draws, give or take four standard deviations."""

    class Masks:
        avail_actions = np.tile(np.array([[[1, 0, 1, 1]]], np.uint8), (6_000, 1, 1))

    counts = np.bincount(scores._random(Masks())().ravel(), minlength=4)
    assert 0 == counts[1]
    assert np.abs(counts[[0, 2, 3]] - 2_000).max() < 150


def test_a_verdict_allows_for_chance_and_no_more():
    kept = ReferenceScores(1.0, 0.1, 10.0, None, "somebody", 2_000, ())
    near = scores.Score(1.7, 0.1, 10.0, None, "somebody")
    assert "as kept" == scores.verdict(kept, near)
    lucky, better = (scores.Score(random, 0.1, best, None, "somebody") for random, best in ((1.9, 10.0), (1.0, 10.1)))
    assert "differs from what is kept: random 1.000" == scores.verdict(kept, lucky)
    assert "differs from what is kept: best 10.000" == scores.verdict(kept, better)
    assert "none are kept" == scores.verdict(None, near)


def test_a_family_file_keeps_its_plans_and_other_tasks():
    measured = {"async:overcooked-A": scores.Score(1.0, 0.5, 2.0, None, "x")}
    said = yaml.safe_load(scores.file_of("overcooked", measured, 2_000))
    assert {"random": 1.0, "random_error": 0.5, "best": 2.0, "best_error": None, "best_how": "x"} == (
        said["tasks"]["async:overcooked-A"]
    )
    kept = catalog.family_scores("overcooked")
    assert kept["tasks"]["async:overcooked-B"] == said["tasks"]["async:overcooked-B"]
    assert (kept["plans"], kept["holds_with"], 2_000) == (said["plans"], said["holds_with"], said["episodes"])


def test_the_verb_compares_with_what_is_kept():
    words = ["scores", "--task", "async:tabular-relay", "--episodes", "300"]
    result = CliRunner().invoke(main, words)
    assert 0 == result.exit_code, result.output
    assert result.output.startswith("async:tabular-relay: random ") and "; as kept" in result.output


def test_the_verb_fails_where_they_differ(monkeypatch):
    monkeypatch.setattr(scores, "measure", lambda key, episodes: scores.Score(5.0, 0.1, 10.0, None, "x"))
    result = CliRunner().invoke(main, ["scores", "--task", "async:tabular-relay"])
    assert 1 == result.exit_code and "differs from what is kept: random" in result.output


def test_few_episodes_are_not_kept():
    result = CliRunner().invoke(main, ["scores", "--task", "async:tabular-relay", "--episodes", "300", "--write"])
    assert 2 == result.exit_code and "expected at least 2000" in result.output
