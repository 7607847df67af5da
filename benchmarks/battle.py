"""The picture of a battle, from a real episode: `python -m benchmarks.battle docs/battle.png`."""

from pathlib import Path

import click
import numpy as np

from async_envs.core.simulator import CONTINUE, NOOP
from registry.catalog import make

KEY = "async:smac-3s5z"
STEPS = 10
CROP = slice(144, 432)  # rows of pixels that hold the walkable band
MOVES = ("move-north", "move-south", "move-east")


def play() -> np.ndarray:
    """The picture after `STEPS` steps: whoever can attack does, the others spread out and come nearer."""
    sim = make(KEY)
    sim.reset([0])
    first_attack = sim.action_names.index("attack-0")
    for step in range(STEPS):
        actions = sim.avail_actions.argmax(-1)
        for i in range(sim.n_agents):
            mask = sim.avail_actions[0, i]
            if mask[NOOP] or mask[CONTINUE]:
                continue
            targets = np.flatnonzero(mask[first_attack:])
            move = sim.action_names.index(MOVES[(i + step) % len(MOVES)])
            actions[0, i] = first_attack + targets[0] if len(targets) else move if mask[move] else actions[0, i]
        sim.step(actions)
    picture: np.ndarray = sim.render()[CROP]
    return picture


@click.command(help=__doc__)
@click.argument("path", type=click.Path(path_type=Path), default=Path("docs/battle.png"))
def main(path: Path) -> None:
    from matplotlib.image import imsave

    imsave(path, play())


if __name__ == "__main__":
    main()
