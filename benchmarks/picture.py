"""The README's picture, from a real episode: `python -m benchmarks.picture docs/episode.svg`."""

from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from async_envs.core.simulator import CONTINUE, FIRST_ACTION, NOOP, Simulator
from registry.catalog import make

KEY = "async:poac-1"
SEED = 4
FROM, UNTIL = 15, 37  # the steps that are drawn: the teams meet
AGENTS = ("infantry", "chariot", "tank")
COLOURS = {"move": "#4c78a8", "attack": "#e45756", "stop": "#b8b8b8"}


class Decision(NamedTuple):
    """One action of one agent, from its decision to the step before the next one."""

    agent: int
    start: int
    end: int
    action: str
    is_last: bool  # the agent died in it


def choose(sim: Simulator) -> np.ndarray:
    """Shoot if possible, else march east, else stop: enough to meet the enemy."""
    actions = np.zeros((1, sim.n_agents), np.int64)
    east = sim.action_names.index("move-E")
    for i, avail in enumerate(sim.avail_actions[0]):
        attacks = [a for a in np.flatnonzero(avail) if "attack" in sim.action_names[a]]
        if attacks:
            actions[0, i] = attacks[0]
        elif avail[east]:
            actions[0, i] = east
        else:
            actions[0, i] = np.flatnonzero(avail)[0]
    return actions


def play() -> list[Decision]:
    """Every decision of one episode."""
    sim = make(KEY)
    sim.reset([SEED])
    starts: dict[int, tuple[int, str]] = {}
    decisions = []

    def close(agent: int, t: int) -> None:
        if agent in starts:
            start, action = starts.pop(agent)
            died = bool(sim.avail_actions[0, agent, NOOP])
            decisions.append(Decision(agent, start, t, action, died))

    while not (sim.terminated[0] or sim.truncated[0]):
        actions = choose(sim)
        t = int(sim.t[0])
        for agent in range(sim.n_agents):
            avail = sim.avail_actions[0, agent]
            if not avail[CONTINUE]:
                close(agent, t)
            if not avail[CONTINUE] and not avail[NOOP]:
                starts[agent] = (t, sim.action_names[actions[0, agent]])
                assert actions[0, agent] >= FIRST_ACTION
        sim.step(actions)
    for agent in range(sim.n_agents):
        close(agent, int(sim.t[0]))
    return decisions


def draw(decisions: list[Decision], path: Path) -> None:
    """Three lanes of actions, and under each the proxies that re-execute them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import Patch

    figure, axis = plt.subplots(figsize=(10, 3.6), layout="constrained")
    for decision in decisions:
        if decision.end <= FROM or decision.start >= UNTIL:
            continue
        kind = next(name for name in COLOURS if name in decision.action)
        height = 2.0 * (len(AGENTS) - 1 - decision.agent)
        length = decision.end - decision.start
        axis.broken_barh([(decision.start + 0.06, length - 0.12)], (height + 0.8, 0.62), color=COLOURS[kind])
        if FROM <= decision.start:
            axis.plot(decision.start + 0.3, height + 1.11, "o", color="white", markersize=4.5)
        if decision.is_last:
            axis.text(decision.end + 0.15, height + 1.1, "✕ destroyed", va="center", fontsize=9)
        if length > 1:
            label = decision.action.replace("move-", "move ")
            middle = decision.start + 0.3 + length / 2
            axis.text(
                middle, height + 1.1, label, color="white", fontsize=8, ha="center", va="center", clip_on=True
            )
            for t in range(decision.start + 1, decision.end):
                axis.broken_barh([(t + 0.06, 0.88)], (height + 0.32, 0.36), facecolor="none",
                                 edgecolor=COLOURS[kind], hatch="////", linewidth=1)
    for agent, name in enumerate(AGENTS):
        height = 2.0 * (len(AGENTS) - 1 - agent)
        axis.text(FROM - 0.3, height + 1.11, name, ha="right", va="center")
        axis.text(FROM - 0.3, height + 0.5, "its proxy", ha="right", va="center", fontsize=8, color="#666666")
    axis.set_xlim(FROM, UNTIL)
    axis.set_ylim(0.1, 2.0 * len(AGENTS) - 0.4)
    axis.set_yticks([])
    axis.set_xticks(range(FROM, UNTIL + 1, 2))
    axis.set_xlabel("environment step")
    axis.spines[["left", "right", "top"]].set_visible(False)
    axis.grid(axis="x", alpha=0.25)
    handles: list[Any] = [Patch(color=colour, label=name) for name, colour in COLOURS.items()]
    handles.append(plt.Line2D([], [], marker="o", color="#4c78a8", markerfacecolor="white", linestyle="",
                              label="decides"))
    handles.append(Patch(facecolor="none", edgecolor="#4c78a8", hatch="////",
                         label="proxy: re-executes the decision, so credit reaches it"))
    figure.legend(handles=handles, loc="outside upper center", ncols=5, frameon=False, fontsize=9)
    figure.savefig(path)
    plt.close(figure)


@click.command(help=__doc__)
@click.argument("path", type=click.Path(path_type=Path), default=Path("docs/episode.svg"))
def main(path: Path) -> None:
    draw(play(), path)


if __name__ == "__main__":
    main()
