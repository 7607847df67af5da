"""Map files, what is refused in them, where units start and how they find their way."""

import numpy as np
import pytest

from async_envs.smac.constants import WALK
from async_envs.smac.maps import GAP, make_ground, map_path, read_map, walkable_cells
from async_envs.smac.simulator import make
from async_envs.smac.units import PROFILES, unit_types
from async_envs.smac.ways import is_convex, ways
from tests.async_envs.smac.scene import Scene, battle, field

GOOD = 'episode_limit = 9\nwalkable = [[0, 31, 0, 31]]\nally_types = ["marine"]\n'
GROUPS = '[[ally]]\nunit = "marine"\nn = 2\nat = [5, 5]\n[[enemy]]\nunit = "zealot"\nn = 1\nat = [20, 5]\n'
CORRIDOR = read_map("corridor", map_path("corridor"), "map")


def test_a_map_of_your_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + GROUPS)
    sim = make("async:smac-3m", "3m", map_file=str(path))
    assert (2, 1, 9) == (sim.n_agents, sim.world.rules.n_enemies, sim.episode_limit)
    assert not sim.world.rules.has_attack_point and sim.world.rules.type_bits == 0


@pytest.mark.parametrize(
    "text, said",
    [
        ("episode_limit = [", "the map cannot be read (Invalid value"),
        (GOOD, "'ally' is missing. A map needs episode_limit, walkable, ally_types, ally, enemy."),
        (GOOD + "walls = 3\n" + GROUPS, "'walls' is not an entry of a map. Use episode_limit"),
        (GOOD.replace("= 9", "= 0") + GROUPS, "episode_limit=0 is not accepted"),
        (GOOD.replace("31]]", "32]]") + GROUPS, "walkable holds [0, 31, 0, 32], expected"),
        (GOOD.replace("[[0, 31, 0, 31]]", "[]") + GROUPS, "walkable=[] is not accepted"),
        (GOOD + GROUPS.replace("zealot", "zaelot"), "unknown unit 'zaelot'. Did you mean 'zealot'"),
        (GOOD + GROUPS.replace("n = 2", "n = 0"), "n=0 is not accepted"),
        (GOOD + GROUPS.replace("[20, 5]", "[20, 50]"), "at=[20, 50] is no point of the map"),
        (GOOD + GROUPS.replace("at = [20, 5]", "to = [20, 5]"), "a group of 'enemy' is"),
        (GOOD.replace("marine", "zealot") + GROUPS, "ally_types=['zealot'] does not fit the units"),
        (GOOD + GROUPS.replace("[20, 5]", "[5.4, 5]"), "overlap, 0.75 between them is needed. Move one of"),
        (GOOD.replace("[0, 31, 0, 31]", "[0, 10, 0, 31]") + GROUPS, "a zealot starts at (20.00, 5.00), which is not"),
        ("attack_point = [1]\n" + GOOD + GROUPS, "attack_point=[1] is no point of the map"),
    ],
)
def test_a_wrong_map_is_one_line(tmp_path, text, said):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ValueError) as caught:
        make("async:smac-3m", "3m", map_file=str(path))
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert f"async:smac-3m: map_file {path}: " in str(caught.value)


def test_units_start_in_a_grid_and_the_enemy_in_its_mirror_image():
    """Eight marines: rows of three, 0.8 between them, around (9, 16); enemies around (23, 16), turned."""
    found = read_map("8m", map_path("8m"), "map")
    pitch = 2 * 0.375 + GAP
    corner = (9 - pitch, 16 - pitch)
    assert found.starts[0] == pytest.approx(corner)
    assert {(round(x, 6), round(y, 6)) for x, y in found.starts[:8]} == {
        (round(corner[0] + pitch * (k % 3), 6), round(corner[1] + pitch * (k // 3), 6)) for k in range(8)
    }
    turned = sorted((32 - x, 32 - y) for x, y in found.starts[:8])
    np.testing.assert_allclose(turned, sorted(found.starts[8:]))


def test_ground_is_convex_or_has_ways():
    """Only the corridor and the two plateaus need paths."""
    paths = {"corridor", "2c_vs_64zg"}
    for path in map_path("3m").parent.glob("*.toml"):
        found = read_map(path.stem, path, "map")
        assert (path.stem not in paths) == is_convex(walkable_cells(found)), path.stem


@pytest.mark.parametrize(
    "rows, expected",
    [
        ([[1, 1, 1], [1, 1, 1]], True),
        ([[0, 1, 0], [1, 1, 1], [0, 1, 0]], True),
        ([[1, 0, 1], [1, 1, 1]], False),
        ([[1, 1, 1], [0, 1, 0], [1, 1, 1]], False),
        ([[1, 1, 0], [0, 0, 0], [1, 1, 0]], False),
        ([[1, 0], [0, 1]], False),
        ([[1, 0, 0], [1, 1, 1], [1, 0, 0], [1, 1, 1]], False),
    ],
)
def test_convex_ground(rows, expected):
    assert expected == is_convex(np.array(rows, bool))


def test_ways_cut_no_corners():
    """Round the corner cell by cell; through a gap between two corners not at all."""
    bend = np.array([[1, 0, 1], [1, 1, 1]], np.uint8)
    next_cell, _ = ways(bend.tobytes(), *bend.shape)
    assert [3, 4, 5, 2] == [next_cell[0, 2], next_cell[3, 2], next_cell[4, 2], next_cell[5, 2]]
    gap = np.array([[1, 0], [0, 1]], np.uint8)
    next_cell, is_clear = ways(gap.tobytes(), *gap.shape)
    assert 0 == next_cell[0, 3] and not is_clear[0, 3]


def test_ways_lead_through_the_throat_of_the_corridor():
    """From the upper room to the lower one every step is to a walkable neighbour and ends at the goal."""
    ground = make_ground(CORRIDOR)
    cell, goal, steps = 28 * 32 + 27, 4 * 32 + 4, []
    while cell != goal and len(steps) < 100:
        following = int(ground.next_cell[cell, goal])
        assert max(abs(following % 32 - cell % 32), abs(following // 32 - cell // 32)) == 1
        assert ground.walkable.ravel()[following]
        steps.append(cell := following)
    assert goal == cell and any(cell // 32 == 12 for cell in steps)
    assert not ground.is_clear[20 * 32 + 11, goal] and ground.is_clear[goal, 5 * 32 + 4]
    assert np.array_equal(ground.is_clear, ground.is_clear.T)


def test_the_enemy_walks_round_corners():
    """With the agents out of the way, a zergling of the corridor gets to the point in the other room."""
    scene = Scene("corridor", episode_limit=200).away(0, 6)
    scene.put(0, 29.6, 29.5).put(6, 11.6, 20.5)
    for _ in range(20):
        scene.step()
    assert np.hypot(scene.at(6)[0] - 4.47, scene.at(6)[1] - 4.33) < 1


def test_a_colossus_crosses_the_cliff_and_a_zergling_does_not():
    """The strip y 12 to 13 between the plateaus."""
    scene = Scene("2c_vs_64zg").pacify().away(0, 2).put(0, 16, 15.9).put(2, 16, 10.5)
    for _ in range(3):
        scene.order(0, WALK).units.goal_x[0, 0], scene.units.goal_y[0, 0] = 16, 11
        scene.loops(8)
    assert scene.at(0)[1] < 13
    scene.units.goal_x[0, 2], scene.units.goal_y[0, 2] = 16, 15
    scene.order(2, WALK).loops(16)
    assert scene.at(2)[1] < 12


def test_walls_stop_units_at_their_inner_radius(tmp_path):
    """A marine walks to 0.375 from the wall and along it."""
    lines = "episode_limit = 100\nwalkable = [[4, 27, 4, 27]]\n"
    scene = battle(tmp_path, [("marine", 16, 26.9)], [("marine", 6, 6)], lines)
    scene.step({0: 2})
    assert 28 - 0.375 - 0.15 < scene.at(0)[1] <= 28 - 0.375
    before = scene.at(0)[0]
    assert scene.step({0: 4}).at(0)[0] == pytest.approx(before + 1.125)


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_name_the_same_units(profile):
    assert list(unit_types("map")) == list(unit_types(profile))


@pytest.mark.parametrize(
    "profile, damage, period, speed",
    [("map", 10, 1.44, 2.9531), ("melee410", 13, 1.87, 2.9531), ("smaclite", 13, 1.3375, 4.13)],
)
def test_the_stalker_of_each_profile(profile, damage, period, speed):
    stalker = unit_types(profile)["stalker"]
    assert (damage, period, speed, 80) == (stalker.damage, stalker.period, stalker.speed, stalker.shield)


def test_one_hit_on_the_crawler_tells_the_profile():
    """12 * 20 / 510 with the map's numbers, 16 * 20 / 510 with multiplayer's."""
    for profile, expected in (("map", 0.4706), ("melee410", 0.6275)):
        scene = Scene("2s_vs_1sc", profile=profile).pacify().put(0, 14, 14.1)
        while scene.reward == 0:
            scene.step({0: 6})
        assert scene.reward == pytest.approx(expected, abs=4e-3)  # it grows back at once


def test_fields_are_named_as_they_lie():
    """fields.py numbers the entries of Units, Roster and Rules in their order."""
    from async_envs.smac import fields, types

    names = {name.lower(): number for name, number in vars(fields).items() if name.isupper()}
    for group, starts in ((types.Units, ("x", "alive")), (types.Roster, ("max_health", "weapon", "reach"))):
        origin = 0
        for place, name in enumerate(group._fields):
            origin = place if name in starts else origin
            assert place - origin == names[name], name
    n_rules = types.Rules._fields.index("attack_x")
    for place, name in enumerate(types.Rules._fields):
        assert place - (n_rules if place >= n_rules else 0) == names[name], name


def test_map_files_of_tests_are_written_as_expected(tmp_path):
    field(tmp_path / "x.toml", [("marine", 5, 5)], [("zealot", 2, 20, 5)])
    text = (tmp_path / "x.toml").read_text()
    assert "n = 2" in text and "ally_types = ['marine']" in text
