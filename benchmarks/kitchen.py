"""The picture of a kitchen, from a real episode: `python -m benchmarks.kitchen docs/kitchen.png`."""

from pathlib import Path

import click
import numpy as np

from async_envs.core.simulator import CONTINUE
from async_envs.overcooked.constants import STAY
from registry.catalog import make

KEY = "async:overcooked-B"
STEPS = 28
# What each cook does, one macro-action after the other: two hand over what the third fetches.
ORDERS = (
    ("get-lettuce", "go-to-knife-1", "chop", "get-lettuce", "get-plate-1"),
    ("get-tomato", "go-to-counter", "get-lettuce", "go-to-counter", "get-plate-1", "go-to-counter", "get-onion",
     "go-to-counter"),
    ("get-tomato", "go-to-knife-2", "chop"),
)  # fmt: skip


def play() -> np.ndarray:
    """The picture after `STEPS` steps. Who has nothing to do yet looks again at the next step."""
    sim = make(KEY)
    sim.reset([0])
    given = [0] * sim.n_agents
    for _ in range(STEPS):
        actions = np.full((1, sim.n_agents), CONTINUE)
        for i in range(sim.n_agents):
            if not sim.avail_actions[0, i, CONTINUE]:
                order = ORDERS[i][given[i]] if given[i] < len(ORDERS[i]) else "stay"
                actions[0, i] = sim.action_names.index(order)
        sim.step(actions)
        for i in range(sim.n_agents):
            has_ended = not sim.avail_actions[0, i, CONTINUE]
            if has_ended and sim.world.plans.moves[0, i] != STAY:
                given[i] += 1
    picture: np.ndarray = sim.render()
    return picture


@click.command(help=__doc__)
@click.argument("path", type=click.Path(path_type=Path), default=Path("docs/kitchen.png"))
def main(path: Path) -> None:
    from matplotlib.image import imsave

    imsave(path, play())


if __name__ == "__main__":
    main()
