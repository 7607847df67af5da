"""Kitchens: the shipped maps, layouts of one's own, and what is wrong with them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_envs.overcooked.constants import NO_CELL, PRIMITIVE_NAMES
from async_envs.overcooked.maps import check_layout, make_kitchen, map_path, middle_counters, read_lines
from async_envs.overcooked.simulator import make
from tests.async_envs.overcooked.kitchens import layouts

KEY = "async:overcooked-A"


def shipped(variant, size, n_agents=3):
    return check_layout("map", read_lines("map", map_path(variant, size)), n_agents, 7)


def change(lines, *changes):
    """The lines with symbols put on cells."""
    drawn = [list(line) for line in lines]
    for (row, column), symbol in changes:
        drawn[row][column] = symbol
    return ["".join(line) for line in drawn]


MAP_A = map_path("A", 7).read_text().splitlines()
MAP_B = map_path("B", 7).read_text().splitlines()


@pytest.mark.parametrize("size", [7, 9])
@pytest.mark.parametrize("variant", "ABC")
def test_shipped_maps_have_the_originals_homes(variant, size):
    last, mid = size - 1, size // 2
    homes = [(0, last - 1), (1, last), (2, last), (last - 1, last), (last, last - 1)]
    homes += [(1, 2), (1, last - 2), (last - 1, 2)]
    kitchen = make_kitchen(shipped(variant, size), 2)
    assert homes == [divmod(int(cell), size) for cell in kitchen.homes]
    assert [(1, 0), (2, 0)] == [divmod(int(cell), size) for cell in kitchen.knives]
    assert (3, 0) == divmod(kitchen.delivery, size)
    walls = {"A": [], "B": list(range(1, last)), "C": list(range(1, last - 1))}[variant]
    assert walls == [row for row in range(1, last) if kitchen.bare[row * size + mid] == 1]


@pytest.mark.parametrize(
    "variant, size, rows", [("B", 7, [3, 2, 4, 1, 5]), ("C", 7, [3, 2, 4, 1]), ("B", 9, [4, 3, 5, 2, 6, 1, 7]),
                            ("C", 9, [4, 3, 5, 2, 6, 1])]
)  # fmt: skip
def test_middle_counters_of_shipped_maps_are_in_the_originals_order(variant, size, rows):
    layout = shipped(variant, size)
    for agent in range(3):
        assert [(row, size // 2) for row in rows] == middle_counters(layout, agent)


@pytest.mark.parametrize("size", [7, 9])
@pytest.mark.parametrize("variant", "ABC")
def test_the_side_step_of_shipped_maps_is_the_originals(variant, size):
    *fronts, direction = make_kitchen(shipped(variant, size), 2).side_step
    assert [(1, 1), (2, 1), (3, 1)] == [divmod(int(cell), size) for cell in fronts]
    assert "right" == PRIMITIVE_NAMES[direction]


def test_the_side_step_turns_with_the_kitchen():
    """Fixtures at the top: knife 1, knife 2, delivery from left to right, floor below."""
    lines = ["#KKD##", "#1...T", "#2...L", "#3...O", "#....P", "####P#"]
    *fronts, direction = make_kitchen(check_layout("own", lines, 3, 7), 2).side_step
    assert [(1, 1), (1, 2), (1, 3)] == [divmod(int(cell), 6) for cell in fronts]
    assert "down" == PRIMITIVE_NAMES[direction]


@pytest.mark.parametrize(
    "lines",
    [
        ["#K#D##", "#1...T", "#2...L", "#3...O", "K....P", "####P#"],  # not side by side
        ["#KDK##", "#1...T", "#2...L", "#3...O", "#....P", "####P#"],  # another order
        ["######", "#1.2.T", "#KKD.L", "#..3.O", "#....P", "####P#"],  # floor on both sides
    ],
)
def test_other_kitchens_have_no_side_step(lines):
    assert [NO_CELL] * 4 == make_kitchen(check_layout("own", lines, 3, 7), 2).side_step.tolist()


def test_counters_that_an_agent_cannot_reach_are_not_tried():
    """The wall is two counters thick but for row 1, where both sides reach the one there is."""
    lines = ["########", "K1.#.2.T", "K..##..L", "D.3##..O", "#..##..P", "######P#"]
    layout = check_layout("own", lines, 3, 7)
    left = [(3, 3), (2, 3), (4, 3), (1, 3)]  # the middle is (3,4)
    assert left == middle_counters(layout, 0) == middle_counters(layout, 2)
    assert [(3, 4), (2, 4), (4, 4), (1, 3)] == middle_counters(layout, 1)


def test_with_two_agents_the_third_start_is_floor():
    kitchen = make_kitchen(shipped("A", 7, n_agents=2), 2)
    assert (0, 7) == (kitchen.start[5 * 7 + 2], len(kitchen.homes))


# --- layouts that are refused ---

BAD = [
    ([], "the layout is empty"),
    (change(MAP_A, ((3, 3), "x")), "'x' at row 3, column 3 is no symbol. Known: # counter"),
    ([*MAP_A[:3], MAP_A[3] + "#", *MAP_A[4:]], "row 3 has 8 cells and row 0 has 7. Draw a rectangle."),
    (["#" * 20] * 20, "the layout has 20 rows and 20 columns. Use 3 to 15 of each."),
    (["##", "##"], "the layout has 2 rows and 2 columns. Use 3 to 15 of each."),
    (change(MAP_A, ((3, 0), "#")), "0 cells 'D' (delivery), expected 1"),
    (change(MAP_A, ((4, 0), "D")), "2 cells 'D' (delivery), expected 1"),
    (change(MAP_A, ((0, 5), "#")), "0 cells 'T' (tomato), expected 1"),
    (change(MAP_A, ((0, 4), "L")), "2 cells 'L' (lettuce), expected 1"),
    (change(MAP_A, ((5, 6), "#")), "1 cells 'P' (plate), expected 2"),
    (change(MAP_A, ((1, 0), "#")), "1 cells 'K' (knife), expected 2"),
    (change(MAP_A, ((1, 2), ".")), "0 start cells '1', expected 1 for each of 3 agents"),
    (change(MAP_A, ((2, 2), "3")), "2 start cells '3', expected 1 for each of 3 agents"),
    (change(MAP_A, ((4, 0), ".")), "the floor at row 4, column 0 lies on the edge"),
    (change(MAP_A, ((5, 6), "#"), ((6, 6), "P")), "the plate at row 6, column 6 cannot be reached by any agent"),
    (change(MAP_A, ((1, 4), "#"), ((1, 5), "#"), ((2, 5), "2")),
     "the tomato at row 0, column 5 cannot be reached by any agent"),
    (change(MAP_B, *(((row, 4), "#") for row in range(1, 6)), ((1, 5), "2")),
     "nothing can be brought from the tomato at row 0, column 5 to the delivery at row 3, column 0"),
]  # fmt: skip


@pytest.mark.parametrize("lines, said", BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_wrong_with_a_layout_is_one_line(tmp_path, lines, said):
    path = tmp_path / "mine.txt"
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError) as caught:
        make(KEY, "A", layout=str(path))
    line = str(caught.value)
    assert line.startswith(f"{KEY}: layout {path}: ") and said in line and "\n" not in line


def test_a_layout_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(ValueError, match=f"{KEY}: layout='.*none.txt' cannot be read .No such file"):
        make(KEY, "A", layout=str(tmp_path / "none.txt"))
    (tmp_path / "image").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="it is not UTF-8 text"):
        make(KEY, "A", layout=str(tmp_path / "image"))
    with pytest.raises(ValueError, match="Is a directory"):
        make(KEY, "A", layout=str(tmp_path))


def test_only_the_foods_of_the_dish_must_come_to_the_delivery(tmp_path):
    """Lettuce behind a double wall with agent 2: refused for a lettuce salad, not for a tomato salad."""
    lines = ["##T#####", "K1..##.L", "K...##2O", "D..3##.P", "#...##.#", "##P#####"]
    path = tmp_path / "mine.txt"
    path.write_text("\n".join(lines))
    assert 3 == make(KEY, "A", layout=str(path), task=0).n_agents
    with pytest.raises(ValueError, match="nothing can be brought from the lettuce"):
        make(KEY, "A", layout=str(path), task=1)


def test_a_layout_brings_its_own_size(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("\n".join(MAP_A))
    with pytest.raises(ValueError, match="size=9 belongs to the maps A, B, C"):
        make(KEY, "A", layout=str(path), size=9)


@pytest.mark.parametrize("variant", "ABC")
def test_a_shipped_map_given_as_a_layout_is_the_same_kitchen(variant):
    own = make(KEY, "A", layout=str(map_path(variant, 9))).world
    for found, expected in zip(own.kitchen, make(f"async:overcooked-{variant}", variant, size=9).world.kitchen):
        np.testing.assert_array_equal(found, expected)


@given(layouts(), st.integers(0, 4))
def test_tables_of_any_kitchen_hold_together(lines, radius):
    kitchen = make_kitchen(check_layout("drawn", lines, 3, 7), radius)
    floor = np.flatnonzero(kitchen.bare == 0)
    assert (kitchen.neighbours[floor] >= 0).all()  # nobody can leave the kitchen
    for cell in range(len(kitchen.bare)):
        for move, near in enumerate(kitchen.neighbours[cell]):
            assert near == NO_CELL or kitchen.neighbours[near, (move + 2) % 4] == cell
    assert (kitchen.in_view == kitchen.in_view.T).all() and kitchen.in_view.diagonal().all()
    assert (kitchen.bare[kitchen.counters[kitchen.counters != NO_CELL]] == 1).all()
