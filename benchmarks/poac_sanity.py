"""Whether POAC behaves as its rule book expects: `python -m benchmarks.poac_sanity [--games 2000]
[--scenario 1 …]`.

Prints a Markdown table and, below, each expectation with what was measured; exit status 1 if one fails.
Played by scripted teams, so nothing is learned here and the figures can be had anew in a minute or two.
"""

import argparse
from dataclasses import dataclass
from math import sqrt

import numpy as np

from async_envs.core.seeding import episode_seed
from async_envs.poac.constants import BLUE, BOT_NAMES, GUIDED_ATTACK, SCENARIOS
from async_envs.poac.scripted import TEAM_NAMES, ScriptedTeam
from async_envs.poac.simulator import PoacSimulator, make

_Z = 4.0  # standard deviations that chance is given when two shares are compared


@dataclass(frozen=True)
class Result:
    """What a team did against a bot."""

    games: int
    won: int
    drawn: int
    contact: float  # share of games in which a shot was fired
    mean_length: float  # steps
    guided_by_blue: float  # share of games in which Blue fired a guided shot
    guided_for_red: float  # share of games in which Red could have fired one

    @property
    def decided(self) -> int:
        """Games that were not drawn."""
        return self.games - self.drawn

    @property
    def win_rate(self) -> float:
        """Share of all games."""
        return self.won / self.games

    @property
    def win_rate_decided(self) -> float:
        """Share of the decided games; one half if there was none."""
        return self.won / self.decided if self.decided else 0.5


def play(scenario: str, team: str, bot: str, games: int) -> Result:
    """Play a scripted team as Red against a bot; the same games for the same arguments."""
    simulator = make(f"async:poac-{scenario}", scenario, batch_size=games, bot=bot)
    red = ScriptedTeam(simulator, team)
    simulator.reset([episode_seed(0, f"sanity {scenario} {team} {bot}", k) for k in range(games)])
    guided_for_red = np.zeros(games, np.bool_)
    while not is_over(simulator).all():
        simulator.step(red.act())
        guided_for_red |= simulator.avail_actions[:, :, GUIDED_ATTACK:].any((1, 2))
    return Result(
        games=games,
        won=int(simulator.metrics["battle_won"].sum()),
        drawn=int(simulator.metrics["draw"].sum()),
        contact=float(simulator.metrics["contact"].mean()),
        mean_length=float(simulator.t.mean()),
        guided_by_blue=float((simulator.world.tally.guided_shots[:, BLUE] > 0).mean()),
        guided_for_red=float(guided_for_red.mean()),
    )


def is_over(simulator: PoacSimulator) -> np.ndarray:
    """[B] bool."""
    return simulator.terminated | simulator.truncated


def gap(a_as_red: Result, b_as_red: Result) -> tuple[float, float]:
    """(difference, what chance may do) between a's win rate as Red and as Blue, wins less losses per game."""
    balance_as_red = (2 * a_as_red.won - a_as_red.decided) / a_as_red.games
    balance_as_blue = -(2 * b_as_red.won - b_as_red.decided) / b_as_red.games
    noise = sqrt(a_as_red.decided / a_as_red.games**2 + b_as_red.decided / b_as_red.games**2)
    return abs(balance_as_red - balance_as_blue), _Z * noise


def expectations(results: dict[tuple[str, str, str], Result]) -> list[tuple[bool, str]]:
    """(met, what was expected and measured) for every line of the rule book's list."""
    lines: list[tuple[bool, str]] = []
    for name in sorted({scenario for scenario, _, _ in results}):
        default = SCENARIOS[name].bot
        mirror = results[name, "KAI0", "KAI0"]
        share = mirror.win_rate_decided
        lines.append(
            (
                0.45 <= share <= 0.55,
                f"{name}: KAI0 against itself wins {share:.3f} of the decided games, .45 to .55",
            )
        )
        lines.append(
            (
                mirror.decided >= 500,
                f"{name}: KAI0 against itself decides {mirror.decided} games, at least 500",
            )
        )
        for first, a in enumerate(BOT_NAMES):
            for b in BOT_NAMES[first:]:
                difference, noise = gap(results[name, a, b], results[name, b, a])
                if a == b:
                    balance = (2 * results[name, a, a].won - results[name, a, a].decided) / results[
                        name, a, a
                    ].games
                    difference, noise = (
                        abs(balance),
                        _Z * sqrt(results[name, a, a].decided) / results[name, a, a].games,
                    )
                lines.append(
                    (
                        difference <= noise,
                        f"{name}: {a} and {b}, swapped: balance off by {difference:.3f}, at most {noise:.3f}",
                    )
                )
        wins = results[name, "random", default].win_rate
        lines.append((wins <= 0.05, f"{name}: random agents win {wins:.3f}, at most .05"))
        best = max(
            (r.win_rate, team)
            for (scenario, team, bot), r in results.items()
            if (scenario, bot) == (name, default)
        )
        lines.append((best[0] >= 0.60, f"{name}: {best[1]} wins {best[0]:.3f}, at least .60"))
        if name == "1":
            wait, focus = results[name, "wait", default].win_rate, results[name, "focus", default].win_rate
            lines.append((wait < 0.50, f"1: a team that waits and shoots wins {wait:.3f}, less than .50"))
            lines.append((focus >= 0.70, f"1: a focus-fire team wins {focus:.3f}, at least .70"))
        if SCENARIOS[name].guided:
            by_bots = results[name, "KAI0", default].guided_by_blue
            lines.append(
                (
                    by_bots > 0.50,
                    f"{name}: {default} fires guided shots in {by_bots:.3f} of its games against KAI0, most",
                )
            )
            for_red = max(
                r.guided_for_red
                for (scenario, _, bot), r in results.items()
                if (scenario, bot) == (name, default)
            )
            lines.append(
                (
                    for_red > 0.50,
                    f"{name}: guided shots are open to a scripted team in {for_red:.3f} of its games, most",
                )
            )
    return lines


def table(rows: list[tuple[str, str, str, Result]]) -> str:
    """A Markdown table of results."""
    lines = [
        "| scenario | Red | Blue | win | draw | win of decided | contact | mean length "
        "| guided by Blue | guided open to Red |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for scenario, team, bot, result in rows:
        lines.append(
            f"| {scenario} | {team} | {bot} | {result.win_rate:.3f} | {result.drawn / result.games:.3f} | "
            f"{result.win_rate_decided:.3f} | {result.contact:.3f} | {result.mean_length:.0f} | "
            f"{result.guided_by_blue:.3f} | {result.guided_for_red:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and fail if an expectation does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", type=int, default=2000, help="games for each pair of teams (default 2000)")
    parser.add_argument("--scenario", nargs="*", choices=tuple(SCENARIOS), default=tuple(SCENARIOS))
    arguments = parser.parse_args()
    results: dict[tuple[str, str, str], Result] = {}
    for scenario in arguments.scenario:
        pairs = [(team, SCENARIOS[scenario].bot) for team in TEAM_NAMES if team not in BOT_NAMES]
        pairs += [(a, b) for a in BOT_NAMES for b in BOT_NAMES]
        for team, bot in pairs:
            results[scenario, team, bot] = play(scenario, team, bot, arguments.games)
    print(f"Games for each line: {arguments.games}\n")
    print(table([(*names, result) for names, result in results.items()]) + "\n")
    checked = expectations(results)
    for is_met, line in checked:
        print(f"{'ok  ' if is_met else 'FAIL'} {line}")
    raise SystemExit(0 if all(is_met for is_met, _ in checked) else 1)


if __name__ == "__main__":
    main()
