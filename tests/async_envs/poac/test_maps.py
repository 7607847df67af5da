"""Geometry of the hexagonal maps, and what was promised of the hidden terrain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_envs.poac.constants import BLUE, RED, SCENARIOS
from async_envs.poac.generate_maps import map_text
from async_envs.poac.maps import (
    axial,
    centre_cells,
    distance,
    draw_hidden,
    is_inside,
    make_board,
    map_path,
    neighbour,
    read_hidden,
    rotate,
    start_cells,
)

HIDDEN_SCENARIOS = ["2", "3", "4", "5"]


def cells_of(scenario):
    """Every (row, column) of a scenario's map."""
    rows, columns = scenario.rows, scenario.columns
    return [(r, c) for r in range(rows) for c in range(columns) if is_inside(rows, columns, r, c)]


def hidden_of(name):
    """The hidden (row, column) of a scenario, sorted."""
    scenario = SCENARIOS[name]
    grid = read_hidden(map_path(name), scenario.rows, scenario.columns)
    return [tuple(map(int, cell)) for cell in np.argwhere(grid)]


@st.composite
def two_cells(draw):
    """A scenario and two cells of its map."""
    scenario = SCENARIOS[draw(st.sampled_from(list(SCENARIOS)))]
    cells = st.sampled_from(cells_of(scenario))
    return scenario, draw(cells), draw(cells)


@given(two_cells())
def test_rotation_preserves_distances_and_is_its_own_inverse(case):
    scenario, a, b = case
    size = scenario.rows, scenario.columns
    image_a, image_b = rotate(*size, *a), rotate(*size, *b)
    assert is_inside(*size, *image_a)
    assert rotate(*size, *image_a) == a
    assert distance(image_a, image_b) == distance(a, b)


@given(two_cells())
def test_rotation_turns_every_direction_round(case):
    """E and W, NE and SW, NW and SE change places."""
    scenario, a, _ = case
    size = scenario.rows, scenario.columns
    for direction in range(6):
        there = neighbour(*a, direction)
        assert rotate(*size, *there) == neighbour(*rotate(*size, *a), (direction + 3) % 6)


@given(two_cells())
def test_distance_counts_the_fewest_moves(case):
    """Every cell but the goal has a neighbour one nearer inside the map, and none is nearer by more."""
    scenario, a, b = case
    around = [neighbour(*a, d) for d in range(6)]
    inside = [cell for cell in around if is_inside(scenario.rows, scenario.columns, *cell)]
    assert distance(a, b) == distance(b, a)
    assert distance(a, b) == 0 if a == b else min(distance(cell, b) for cell in inside) == distance(a, b) - 1
    assert all(distance(cell, a) == 1 for cell in around)


def test_distances_worked_by_hand():
    assert axial(6, 5) == (2, 6)
    assert distance((6, 5), (6, 12)) == 7
    assert distance((6, 5), (8, 6)) == 2  # SE, SE
    assert distance((6, 5), (8, 7)) == 3
    assert distance((7, 5), (6, 5)) == 1 and distance((7, 5), (6, 6)) == 1 and distance((7, 5), (6, 4)) == 2


@pytest.mark.parametrize("name, centres", [("1", [(6, 11)]), ("3", [(8, 13)]), ("4", [(13, 17), (13, 18)])])
def test_centre_is_its_own_image(name, centres):
    scenario = SCENARIOS[name]
    size = scenario.rows, scenario.columns
    assert centre_cells(*size) == centres
    assert sorted(rotate(*size, *cell) for cell in centres) == centres


@pytest.mark.parametrize("name", HIDDEN_SCENARIOS)
def test_hidden_terrain_is_symmetric(name):
    scenario = SCENARIOS[name]
    hidden = hidden_of(name)
    assert sorted(rotate(scenario.rows, scenario.columns, *cell) for cell in hidden) == hidden


@pytest.mark.parametrize("name", HIDDEN_SCENARIOS)
def test_hidden_terrain_comes_in_clusters_of_3_to_7(name):
    left = set(hidden_of(name))
    while left:
        cluster, edge = set(), {left.pop()}
        while edge:
            cell = edge.pop()
            cluster.add(cell)
            edge |= {neighbour(*cell, d) for d in range(6)} & left
            left -= edge
        assert 3 <= len(cluster) <= 7


@pytest.mark.parametrize("name", HIDDEN_SCENARIOS)
def test_hidden_terrain_has_its_share_of_the_map_some_near_the_centre_none_at_a_start(name):
    scenario = SCENARIOS[name]
    hidden = hidden_of(name)
    assert 0.08 <= len(hidden) / len(cells_of(scenario)) <= 0.12
    centres = centre_cells(scenario.rows, scenario.columns)
    assert min(distance(cell, centre) for cell in hidden for centre in centres) <= 3
    for side in (RED, BLUE):
        for shift in scenario.start_shifts:
            for start in start_cells(scenario, side, shift):
                assert min(distance(cell, start) for cell in hidden) > 2


def test_scenario_1_has_no_hidden_terrain():
    assert hidden_of("1") == []


def test_rows_and_columns_are_the_paper_s():
    sizes = {name: (scenario.rows, scenario.columns) for name, scenario in SCENARIOS.items()}
    assert sizes == {"1": (13, 23), "2": (13, 23), "3": (17, 27), "4": (27, 37), "5": (27, 37)}


@pytest.mark.parametrize("name", SCENARIOS)
def test_map_files_are_what_their_seeds_draw(name):
    assert map_path(name).read_text(encoding="utf-8") == map_text(name)


@given(st.data())
def test_reading_a_drawn_map_gives_it_back(tmp_path_factory, data):
    rows, columns = data.draw(st.integers(1, 5)), data.draw(st.integers(2, 6))
    hidden = np.zeros((rows, columns), np.bool_)
    for row in range(rows):
        for column in range(columns - row % 2):
            hidden[row, column] = data.draw(st.booleans())
    path = tmp_path_factory.mktemp("map") / "map.txt"
    path.write_text("; a comment\n" + draw_hidden(hidden), encoding="utf-8")
    np.testing.assert_array_equal(read_hidden(path, rows, columns), hidden)


def test_a_damaged_map_is_refused(tmp_path):
    path = tmp_path / "map.txt"
    path.write_text(". . .\n . .\n. x .\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"map.txt: row 2 is '. x .', expected 3 cells, each '.' or '#'"):
        read_hidden(path, 3, 3)
    with pytest.raises(ValueError, match="map.txt: 3 rows, expected 4. Draw one line per row."):
        read_hidden(path, 4, 3)


def test_board_knows_what_lies_around_a_cell():
    scenario = SCENARIOS["1"]
    hidden = np.zeros((13, 23), np.bool_)
    hidden[6, 12] = True
    board = make_board(scenario, hidden)
    centre = 6 * 23 + 11
    assert board.neighbours[centre].tolist() == [
        centre + 1,
        5 * 23 + 11,
        5 * 23 + 10,
        centre - 1,
        7 * 23 + 10,
        7 * 23 + 11,
    ]
    assert board.features[centre].tolist() == [0.5, 0.5, 0] + [1, 1] + [1, 0] * 5
    assert board.neighbours[0].tolist() == [1, -1, -1, -1, -1, 23]
    assert board.hidden_cells.tolist() == [centre + 1]
