"""What README.md states as facts is what the code does."""

from pathlib import Path

import async_envs.overcooked
from async_envs.overcooked.constants import METRIC_NAMES
from async_envs.overcooked.dishes import DISHES, SALAD
from async_envs.overcooked.family import FAMILY
from async_envs.overcooked.maps import map_path
from async_envs.overcooked.simulator import make

FOLDER = Path(async_envs.overcooked.__file__).parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")
TABLE_LINES = [line for line in README.splitlines() if line.startswith("|")]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE_LINES]


def test_options_are_listed_with_their_defaults():
    listed = {row[0].strip("`"): row[2] for row in ROWS if len(row) == 4}
    for option in FAMILY.options:
        default = "none" if option.default is None else str(option.default)
        assert listed[option.name] == default


def test_dishes_are_listed_by_number():
    text = " ".join(README.split())
    assert all(f"{number} {dish}{SALAD}" in text for number, dish in enumerate(DISHES))


def test_maps_are_drawn_as_they_are():
    block = README.split("A          B          C\n")[1].split("```")[0].splitlines()
    for k, variant in enumerate("ABC"):
        drawn = [line.split()[k] for line in block]
        assert drawn == map_path(variant, 7).read_text().splitlines()


def test_every_action_metric_and_file_is_named():
    names = set(make("async:overcooked-B", "B").action_names[2:])
    assert all(f"`{name}`" in README for name in names | set(METRIC_NAMES))
    files = {path.name for path in FOLDER.glob("*.py")} - {"__init__.py"}
    assert all(f"`{name}`" in README for name in files)


def test_sizes_are_as_stated():
    sim = make("async:overcooked-A", "A")
    assert (32, 165) == (sim.obs_dim, sim.state_dim) and 30 == make("async:overcooked-A", "A", n_agents=2).obs_dim
    assert "State (165 on map A" in README and "Observation (30 with two agents, 32 with three)" in README


def test_the_snippet_runs_and_the_picture_is_there():
    names: dict = {}
    exec(README.split("```python\n")[1].split("```")[0], names)
    assert (names["sim"].t == 1).all() and names["picture"].ndim == 3
    assert (FOLDER / "../../docs/kitchen.png").exists()
