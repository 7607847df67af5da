"""What is drawn where."""

import pytest

from async_envs.smac.pictures import CELL, SIDE_COLOURS
from async_envs.smac.simulator import make
from tests.async_envs.smac.scene import NORTH, Scene


def pixel(picture, x, y):
    return tuple(int(part) for part in picture[int((32 - y) * CELL), int(x * CELL)])


def test_units_are_discs_in_their_sides_colours():
    scene = Scene("3m").pacify().away(0, 3).put(0, 10.5, 12.5).put(3, 20.5, 18.5)
    picture = scene.sim.render()
    assert (32 * CELL, 32 * CELL, 3) == picture.shape
    assert SIDE_COLOURS == (pixel(picture, 10.5, 12.25), pixel(picture, 20.5, 18.25))
    assert SIDE_COLOURS[0] != pixel(picture, 12.5, 12.5)
    assert pixel(picture, 4, 4) != pixel(picture, 4, 12)  # the cliff and the ground


def test_health_and_moves_show():
    scene = Scene("3m", durations="3,1,1").pacify().away(0, 3).put(0, 10.5, 12.5)
    whole = scene.sim.render()
    hurt = scene.vitals(0, health=20).sim.render()
    assert (whole != hurt).any()
    scene.step({0: NORTH})
    still = scene.sim.render()
    scene.world.clocks.left[0, 0] = 0
    assert (still != scene.sim.render()).any()


def test_the_text_names_everybody():
    scene = Scene("2s3z", durations="3,1,1,1,1").pacify().put(0, 10.5, 12.5).step({0: NORTH})
    scene.units.alive[0, 9] = 0
    lines = scene.sim.render(mode="ansi").splitlines()
    assert 32 + 1 + 10 == len(lines) and {32} == {len(line) for line in lines[:32]}
    assert "S" == lines[31 - 13][10] and lines[0] == "#" * 32
    assert "step 1" == lines[32] and "enemy_4 zealot: dead" == lines[-1]
    assert "agent_0 stalker: health 80, shield 80, moving (2 left)" == lines[33]
    assert "s" in "".join(lines[8:24]) and "z" in "".join(lines[8:24])


@pytest.mark.parametrize("variant", ["MMM2", "1c3s5z", "bane_vs_bane", "6h_vs_8z", "2s_vs_1sc", "2c_vs_64zg"])
def test_every_unit_can_be_drawn(variant):
    sim = make(f"async:smac-{variant}", variant)
    sim.reset([0])
    assert sim.render().any() and "?" not in sim.render(mode="ansi")


def test_what_cannot_be_drawn_is_one_line():
    sim = make("async:smac-3m", "3m")
    with pytest.raises(ValueError, match="render was called before reset"):
        sim.render()
    sim.reset([0])
    with pytest.raises(ValueError, match="unknown render_mode 'human'"):
        sim.render(mode="human")
    with pytest.raises(ValueError, match="there is no episode 1 to render. Use 0 to 0."):
        sim.render(episode=1)
