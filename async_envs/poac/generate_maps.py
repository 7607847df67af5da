"""The script that drew the hidden terrain in maps/: `python -m async_envs.poac.generate_maps [--check]`.

It is never run at play time. Clusters of 3 to 7 cells grow at random on one half of the map, each together
with its image under the rotation, until a tenth of the cells is hidden; the first one begins near the centre.
"""

import argparse
import random

import numpy as np

from async_envs.poac.constants import BLUE, RED, SCENARIOS, Scenario
from async_envs.poac.maps import (
    centre_cells,
    distance,
    draw_hidden,
    is_inside,
    map_path,
    neighbour,
    rotate,
    start_cells,
)

Cell = tuple[int, int]

SEEDS = {"2": 7, "3": 3, "4": 11, "5": 5}  # chosen so that the scenario can be won (README.md, sanity)
CLUSTER_SIZES = (3, 7)
SHARE = 0.10  # of the cells, reached by the last pair of clusters
CLEAR_OF_STARTS = 2  # cells around a start, shifted ones included, that stay open
FIRST_CLUSTER_AT = (2, 3)  # cells from the centre to the first cell of the first cluster


def generate(scenario: Scenario, seed: int) -> np.ndarray:
    """[rows, columns] bool: hidden terrain, the same for the same seed."""
    draw = random.Random(seed)
    rows, columns = scenario.rows, scenario.columns
    cells = [(r, c) for r in range(rows) for c in range(columns) if is_inside(rows, columns, r, c)]
    centres = centre_cells(rows, columns)
    near = [
        cell
        for cell in cells
        if to_nearest(cell, centres) in range(FIRST_CLUSTER_AT[0], FIRST_CLUSTER_AT[1] + 1)
    ]
    hidden: set[Cell] = set()
    while len(hidden) < SHARE * len(cells):
        cluster = grow(draw, scenario, hidden, near if not hidden else cells)
        hidden |= cluster | {rotate(rows, columns, *cell) for cell in cluster}
    grid = np.zeros((rows, columns), np.bool_)
    for cell in hidden:
        grid[cell] = True
    return grid


def grow(draw: random.Random, scenario: Scenario, hidden: set[Cell], seeds: list[Cell]) -> set[Cell]:
    """One cluster that touches neither the hidden cells nor its own image."""
    size = draw.randint(*CLUSTER_SIZES)
    while True:
        cluster = {draw.choice(seeds)}
        while len(cluster) < size:
            edge = {neighbour(*cell, direction) for cell in cluster for direction in range(6)} - cluster
            cluster.add(draw.choice(sorted(edge)))
        if fits(scenario, cluster, hidden):
            return cluster


def fits(scenario: Scenario, cluster: set[Cell], hidden: set[Cell]) -> bool:
    """Whether a cluster lies inside the map, clear of starts, other clusters and its own image."""
    rows, columns = scenario.rows, scenario.columns
    if not all(is_inside(rows, columns, *cell) for cell in cluster):
        return False
    image = {rotate(rows, columns, *cell) for cell in cluster}
    starts = [
        s
        for side in (RED, BLUE)
        for shift in scenario.start_shifts
        for s in start_cells(scenario, side, shift)
    ]
    return all(
        to_nearest(cell, sorted(hidden | image)) > 1 and to_nearest(cell, starts) > CLEAR_OF_STARTS
        for cell in cluster
    )


def to_nearest(cell: Cell, cells: list[Cell]) -> int:
    """Distance to the nearest of some cells."""
    return min(distance(cell, other) for other in cells)


def map_text(name: str) -> str:
    """The whole map file of a scenario."""
    scenario = SCENARIOS[name]
    size = f"; poac-{name}: {scenario.rows} rows x {scenario.columns} columns, "
    if name not in SEEDS:
        return (
            size + "no hidden terrain.\n" + draw_hidden(np.zeros((scenario.rows, scenario.columns), np.bool_))
        )
    seed = SEEDS[name]
    grid = generate(scenario, seed)
    drawn_by = f"hidden terrain (#) drawn by python -m async_envs.poac.generate_maps with seed {seed}.\n"
    return size + drawn_by + draw_hidden(grid)


def main() -> None:
    """Write the map files, or compare them with what would be written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file differs")
    check = parser.parse_args().check
    for name in SCENARIOS:
        path = map_path(name)
        if not check:
            path.write_text(map_text(name), encoding="utf-8")
        elif path.read_text(encoding="utf-8") != map_text(name):
            raise SystemExit(
                f"{path.name}: differs from its seed. Run python -m async_envs.poac.generate_maps."
            )


if __name__ == "__main__":
    main()
