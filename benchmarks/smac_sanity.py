"""What scripted play gets out of 2s_vs_1sc: `python -m benchmarks.smac_sanity [--games 30] [--smaclite]`.

Prints Markdown tables of wins by team, profile of the units, and durations, and of what the teams' returns are worth
at the start under a discount; nothing is learned, and the figures can be had anew in a minute. With `--smaclite` the
same teams play SMAClite as well, where it is installed.

Teams: `random`; `fight` goes north and fires whenever it can; `share t` (for eight t) fights, and who has lost t
since its last turn as the target steps out until the crawler takes the other; `rest n` fights, each leaves when
its shield is below 21, and both come back when both are whole, n times; `rest and share` does `share 29`, and
once, when a shield is below 21, both leave until both are whole.
"""

from typing import Any, Callable

import click
import numpy as np

from async_envs.core.seeding import episode_seed
from async_envs.smac.constants import ATTACK, MOVE, STOP
from async_envs.smac.simulator import make

MAP = "2s_vs_1sc"
NORTH, SOUTH = MOVE, MOVE + 1
VITALS = 80.0  # of a stalker's health, and of its shield
CRAWLER = 300.0
LOSSES = (29, 59, 79, 87, 88, 116, 117, 145)  # thresholds of `share`
OUT = 8.55  # just out of the crawler's reach
AWAY = 9.3  # where a stalker rests
LOW = 21.0  # shield at which it leaves
COLUMNS = ("random", "fight", "share", "rest once", "rest twice", "rest and share")
GAMMAS = (1.0, 0.99, 0.995, 0.997)
PROFILES = ("map", "melee410", "smaclite")

Team = Callable[["Scene", int], int]


class Scene:
    """One battle as its state tells it; for every backend, with SMAC's action numbers."""

    def __init__(self, **options: Any):
        self.sim = make(f"async:smac-{MAP}", MAP, smac_compat=True, continuing_episode=True, **options)

    def play(self, make_team: Callable[[], Team], seed: int) -> tuple[bool, np.ndarray, float]:
        """(won, reward of each step, health that the crawler is left with)."""
        sim, team, rewards = self.sim, make_team(), []
        sim.reset([seed])
        while not sim.terminated[0] | sim.truncated[0]:
            deciding = sim.get_decision_mask()[0]
            sim.step(np.array([[self.possible(i, team(self, i)) if deciding[i] else 0 for i in range(2)]]))
            rewards.append(float(sim.reward[0]))
        return bool(sim.metrics["battle_won"][0]), np.array(rewards), float(sim.state[0, 10]) * CRAWLER

    def possible(self, i: int, action: int) -> int:
        """The action, or stop where it is not available."""
        return action if self.sim.avail_actions[0, i, action] else STOP

    def shield(self, i: int) -> float:
        return float(self.sim.state[0, 5 * i + 4]) * VITALS

    def strength(self, i: int) -> float:
        """Health and shield; 0 of the dead."""
        return float(self.sim.state[0, 5 * i]) * VITALS + self.shield(i)

    def distance(self, i: int) -> float:
        """To the crawler's centre."""
        x, y = (self.sim.state[0, 5 * i + 2 : 5 * i + 4] - self.sim.state[0, 11:13]) * 32.0
        return float(np.hypot(x, y))

    def fight(self, i: int) -> int:
        """Fire, else go nearer."""
        return ATTACK if self.sim.avail_actions[0, i, ATTACK] else NORTH


def random_team(rng: np.random.Generator) -> Team:
    """Any action that is available."""
    return lambda scene, i: int(rng.choice(np.flatnonzero(scene.sim.avail_actions[0, i])))


def fight_team() -> Team:
    """Neither ever leaves."""
    return lambda scene, i: scene.fight(i)


def share_team(loss: float) -> Team:
    """They take turns as the crawler's target."""
    leave_at, is_out = [2 * VITALS - loss] * 2, [False, False]

    def act(scene: Scene, i: int) -> int:
        own, other = scene.strength(i), scene.strength(1 - i)
        if is_out[i]:
            is_out[i] = scene.distance(i) <= OUT
            return SOUTH if is_out[i] else scene.fight(i)
        if other > own and own <= leave_at[i] + 1e-3 and scene.distance(1 - i) <= 7.4:
            leave_at[i], is_out[i] = own - loss, True
            return SOUTH
        return scene.fight(i)

    return act


def rest_team(n_rests: int) -> Team:
    """They wait for whole shields, `n_rests` times."""
    is_resting, n_rested = [False, False], 0

    def act(scene: Scene, i: int) -> int:
        nonlocal n_rested
        if all(is_resting) and min(scene.shield(0), scene.shield(1)) >= VITALS - 0.01:
            is_resting[:], n_rested = [False, False], n_rested + 1
        is_resting[i] = is_resting[i] or (n_rested < n_rests and scene.shield(i) < LOW)
        if is_resting[i]:
            return SOUTH if scene.distance(i) < AWAY else STOP
        return scene.fight(i)

    return act


def rest_and_share_team() -> Team:
    """They take turns, and once both wait for whole shields."""
    share, is_resting, has_rested = share_team(LOSSES[0]), False, False

    def act(scene: Scene, i: int) -> int:
        nonlocal share, is_resting, has_rested
        least = min(scene.shield(0), scene.shield(1))
        if is_resting and least >= VITALS - 0.01:
            share, is_resting = share_team(LOSSES[0]), False
        if not has_rested and least < LOW and min(scene.strength(0), scene.strength(1)) > 0:
            is_resting = has_rested = True
        if is_resting:
            return SOUTH if scene.distance(i) < AWAY else STOP
        return share(scene, i)

    return act


def scripted_teams() -> list[list[Callable[[], Team]]]:
    """Those that follow a plan, in the order of `COLUMNS`; `share` at each threshold."""
    shares: list[Callable[[], Team]] = [lambda loss=loss: share_team(loss) for loss in LOSSES]  # type: ignore[misc]
    return [[fight_team], shares, [lambda: rest_team(1)], [lambda: rest_team(2)], [rest_and_share_team]]


def row(scene: Scene, games: int, has_chance: bool) -> list[str]:
    """What each team gets: won of played, mean return, the least that was left of the crawler."""
    rng = np.random.default_rng(0)
    fixed = games if has_chance else 1
    teams = [([lambda: random_team(rng)], games), *((kinds, fixed) for kinds in scripted_teams())]
    cells = []
    for kinds, n in teams:
        seeds = [episode_seed(0, MAP, k) for k in range(n)]
        won, rewards, left = zip(*(scene.play(kind, seed) for kind in kinds for seed in seeds))
        cells.append(f"{sum(won)}/{len(won)}, {np.mean([each.sum() for each in rewards]):.2f}, {min(left):.0f}")
    return cells


def worths(scene: Scene) -> list[tuple[bool, list[float]]]:
    """For each scripted team: whether it won, and its return under each of `GAMMAS`; of `share` the best."""
    found = []
    for kinds in scripted_teams():
        played = [scene.play(kind, 0) for kind in kinds]
        best = [max(float(rewards @ gamma ** np.arange(len(rewards))) for _, rewards, _ in played) for gamma in GAMMAS]
        found.append((any(won for won, _, _ in played), best))
    return found


def worth_table() -> str:
    """What a battle is worth at its start, without chance."""
    lines = ["| profile | gamma | " + " | ".join(COLUMNS[1:]) + " |", "|---" * (1 + len(COLUMNS)) + "|"]
    for profile in PROFILES:
        found = worths(Scene(durations="index_mod3", profile=profile))
        for k, gamma in enumerate(GAMMAS):
            cells = (f"{best[k]:.2f}{' (wins)' if is_won else ''}" for is_won, best in found)
            lines.append(f"| {profile} | {gamma} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def table(games: int, has_chance: bool, with_smaclite: bool) -> str:
    """A Markdown table."""
    lines = ["| profile | durations | " + " | ".join(COLUMNS) + " |", "|---" * (2 + len(COLUMNS)) + "|"]
    for durations in ("index_mod3", "all_one"):
        for profile in PROFILES:
            scene = Scene(durations=durations, profile=profile, cooldown_jitter=has_chance)
            lines.append(f"| {profile} | {durations} | " + " | ".join(row(scene, games, has_chance)) + " |")
        if with_smaclite:
            lite = Scene(durations=durations, backend="smaclite")
            lines.append(f"| SMAClite itself | {durations} | " + " | ".join(row(lite, games, False)) + " |")
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--games", default=30, show_default=True, help="Games wherever there is chance.")
@click.option("--smaclite", is_flag=True, help="SMAClite itself as well.")
def main(games: int, smaclite: bool) -> None:
    print("Won of played, mean return, least health that the crawler was left with.\n")
    print(table(games, False, smaclite) + "\n\nWith `cooldown_jitter`:\n")
    print(table(games, True, False) + "\n\nWorth at the start, under a discount for each step (of share, the best):\n")
    print(worth_table())


if __name__ == "__main__":
    main()
