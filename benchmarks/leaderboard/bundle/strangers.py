"""Networks that a board has already, under another submission's name and in other words.

Equal weights, tests and actions are found by their hashes. Weights whose hidden units stand in another order, or whose
scale was moved from one layer to the next, have other hashes and do the same; so a bundle's networks play the fresh
episodes that another submission's networks have played in its verification, and what they do is compared.
"""

from typing import Any, Mapping

from benchmarks.leaderboard.bundle.duplicates import Played, alike, as_told, played_by, told
from benchmarks.leaderboard.bundle.manifest import Files
from benchmarks.leaderboard.bundle.names import WEIGHTS
from benchmarks.leaderboard.bundle.reading import read_about
from benchmarks.leaderboard.bundle.reevaluation import fresh_seeds, playable
from benchmarks.leaderboard.bundle.replaying import evaluated_runs
from benchmarks.leaderboard.bundle.weights import read_weights

__all__ = ["copies_of"]


def copies_of(others: Mapping[str, Mapping[str, Any]], files: Files) -> list[str]:
    """Why some runs of a bundle are refused: one line for each pair of a known and a new run that act alike.

    Args:
        others: place -> verification record of each submission on the board.
        files: of the bundle, which has reached tier 4.

    Raises:
        Refused: networks that cannot be played.
    """
    from registry import evaluation

    known = {
        place: [player for each in record["prints"] if (player := told(each, _name(each, record))) is not None]
        for place, record in others.items()
    }
    reasons = []
    for run in evaluated_runs(files, read_about(files)):
        assert run.evaluation is not None
        where = f"{run.folder}/{WEIGHTS}"
        tensors = read_weights(files.read(where), where, files.limits)
        for place, players in known.items():
            rivals = [each for each in players if each.task == run.run["task"]]
            if not rivals:
                continue
            n = max(len(each.actions) for each in rivals)
            seeds = fresh_seeds(others[place]["held_out_seed"], run.run["task"], n)
            with playable(run):
                found = evaluation.evaluate(run.evaluation["config"], tensors, seeds)
            own = _short(played_by(run, [each.actions for each in found]))
            reasons += [reason for rival in rivals for reason in alike((rival, own))]
    return reasons


def _name(print_: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    return f"{print_['task']}, {print_['algorithm']}, seed {print_['seed']} of {record['name']!r}"


def _short(player: Played) -> Played:
    """With hashes as long as those that records keep."""
    print_ = {"task": player.task, "algorithm": player.algorithm, "seed": player.seed, "played": as_told(player)}
    short = told(print_, player.name)
    assert short is not None
    return short
