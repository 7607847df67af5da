"""One episode kept in golden.json: `python -m tests.async_envs.poac.golden` has the slow twin play and write
it.

It changes only when the rules, the random streams or the map change, and then results change with it.
"""

import json
import random
from pathlib import Path

from async_envs.poac.constants import SCENARIOS
from async_envs.poac.maps import map_path, read_hidden
from tests.async_envs.poac.naive import Game

PATH = Path(__file__).with_name("golden.json")
SCENARIO, SEED = "5", 20260


def new_game(bot="KAI2"):
    """The twin at the first step of the golden episode."""
    size = SCENARIOS[SCENARIO]
    return Game(SCENARIO, read_hidden(map_path(SCENARIO), size.rows, size.columns), SEED, bot=bot)


def write():
    """Play to the east, shooting where it is possible."""
    twin, draw, steps = new_game(), random.Random(SEED), []
    while not twin.over:
        names = []
        for agent in range(3):
            available = twin.available(agent)
            shots = [name for name in available if "attack" in name]
            eastward = [name for name in available if name in ("move-E", "move-NE", "move-SE")]
            names.append(draw.choice(shots or (eastward if draw.random() < 0.9 and eastward else available)))
        twin.step(names)
        steps.append(
            {"actions": names, "reward": twin.reward, "cells": [list(unit.cell) for unit in twin.units]}
        )
    PATH.write_text(json.dumps({"steps": steps, "metrics": twin.metrics()}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    write()
