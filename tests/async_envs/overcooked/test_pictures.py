"""Pictures tell who holds what, what is chopped, and what each agent is doing."""

import numpy as np
import pytest

from async_envs.core.views import GymnasiumView
from async_envs.overcooked.font import write
from async_envs.overcooked.pictures import AGENT_COLOURS, CELL
from tests.async_envs.overcooked.scene import Scene


def cell_of(picture, row, column):
    return picture[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]


def test_text_shows_the_kitchen():
    scene = Scene(n_agents=2).agent(1, (2, 2), "tomato").cut("tomato").agent(2, (3, 3), "plate_1")
    scene.fill("plate_1", "lettuce").board(1, "onion").cut("onion", times=2).step("go-to-knife-2", "stay")
    drawn = scene.sim.render(mode="ansi").splitlines()
    assert "lettuce-onion-tomato salad  step 1/200  reward -0.1" == drawn[0]
    assert ["#", "#", "#", "#", "#", "#", "#"] == drawn[1].split()
    assert ["K:O2", ".", ".", ".", ".", ".", "#"] == drawn[2].split()
    assert ["K", "1:T3", ".", ".", ".", ".", "#"] == drawn[3].split()
    assert ["D", ".", ".", "2:P[L]", ".", ".", "#"] == drawn[4].split()
    assert "agent 1: go-to-knife-2; holds tomato, chopped" == drawn[8]
    assert "agent 2: stay ended; holds plate 1 with lettuce" == drawn[9]


def test_text_shows_the_end():
    scene = Scene(n_agents=2, task=0).agent(1, (3, 1), "plate_2").fill("plate_2", "tomato").step("deliver")
    drawn = scene.sim.render(mode="ansi").splitlines()
    assert drawn[0].endswith("reward +199.9  delivered") and drawn[4].startswith("D:P[T]")
    assert "time is up" in Scene(episode_limit=1).step().sim.render(mode="ansi")


def test_pixels_have_a_cell_for_each_cell_and_lines_of_text():
    picture = Scene().sim.render()
    assert (np.uint8, 7 * CELL, 3) == (picture.dtype, picture.shape[1], picture.shape[2])
    assert picture.shape[0] > 7 * CELL
    assert Scene(size=9).sim.render().shape[1] == 9 * CELL


@pytest.mark.parametrize("change", [
    lambda s: s.agent(2, (4, 4)),
    lambda s: s.agent(1, (1, 2), "tomato"),
    lambda s: s.cut("tomato", times=1),
    lambda s: s.cut("tomato", times=2),
    lambda s: s.cut("tomato"),
    lambda s: s.board(2, "plate_1"),
    lambda s: s.fill("plate_1", "onion"),
])  # fmt: skip
def test_pixels_change_with_the_kitchen(change):
    scene = Scene(n_agents=2)
    before = scene.sim.render()
    change(scene)
    assert (before[: 7 * CELL] != scene.sim.render()[: 7 * CELL]).any()


def test_a_running_macro_marks_where_it_goes_in_its_agents_colour():
    scene = Scene(n_agents=2).agent(1, (5, 1))
    at_first = scene.step("stay", "stay").sim.render()
    scene.step("get-tomato", "stay")
    found = scene.sim.render()
    assert not (cell_of(at_first, 0, 5) == AGENT_COLOURS[0]).all(-1).any()
    assert (cell_of(found, 0, 5) == AGENT_COLOURS[0]).all(-1).sum() > 50


def test_words_are_written_in_dots():
    assert (7, 5) == write("a").shape and (14, 22) == write("ab", 2).shape and (7, 0) == write("").shape
    np.testing.assert_array_equal(write("l"), [[1, 0, 0, 0, 0]] * 6 + [[1, 1, 1, 1, 1]])
    assert not write("é").any()


def test_what_cannot_be_drawn_is_one_line():
    sim = Scene().sim
    with pytest.raises(ValueError, match="unknown render_mode 'human'. Known: ansi, rgb_array."):
        sim.render(0, "human")
    with pytest.raises(ValueError, match="there is no episode 1 to render. Use 0 to 0."):
        sim.render(1)
    from async_envs.overcooked.simulator import make

    with pytest.raises(ValueError, match="render was called before reset"):
        make("async:overcooked-A", "A").render()


def test_views_render():
    view = GymnasiumView(Scene("B").sim, render_mode="rgb_array")
    view.reset(seed=1)
    assert view.render().ndim == 3 and "rgb_array" in view.metadata["render_modes"]
