"""What README.md states as facts is what the code does."""

import tomllib
from pathlib import Path

import async_envs.smac
from async_envs.smac.constants import BY_TYPE, METRIC_NAMES
from async_envs.smac.family import FAMILY
from async_envs.smac.maps import check_map
from async_envs.smac.simulator import make

FOLDER = Path(async_envs.smac.__file__).parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")
TABLE_LINES = [line for line in README.splitlines() if line.startswith("|")]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE_LINES]


def test_options_are_listed_with_their_defaults():
    listed = {row[0].strip("`"): row[2] for row in ROWS if len(row) == 4}
    for option in FAMILY.options:
        default = "none" if option.default is None else str(option.default)
        assert listed[option.name] == default


def test_every_map_action_metric_and_file_is_named():
    actions = ("noop", "continue", "stop", "move-north", "attack-0")
    assert all(f"`{name}`" in README for name in (*FAMILY.variants, *actions, *METRIC_NAMES))
    files = {path.name for path in FOLDER.iterdir() if path.suffix in (".py", ".toml")} - {"__init__.py"}
    assert all(f"`{name}`" in README for name in files)


def test_durations_by_type_are_as_stated():
    stated = README.split("By type: ")[1].split(".")[0]
    found = {}
    for part in stated.split("; "):
        *names, last = part.split(", ")
        for name in (*names, last.rsplit(" ", 1)[0]):
            found[name] = int(last.rsplit(" ", 1)[1])
    assert BY_TYPE == found


def test_the_map_in_the_text_is_a_map():
    found = check_map("README", tomllib.loads(README.split("```toml\n")[1].split("```")[0]), "map")
    assert (3, 2, 60) == (found.n_agents, found.n_enemies, found.episode_limit)


def test_the_snippet_runs():
    names: dict = {}
    exec(README.split("```python\n")[1].split("```")[0], names)
    assert (names["sim"].t == 1).all() and names["picture"].ndim == 3
    assert (FOLDER / "../../docs/battle.png").exists()


def test_sizes_are_smacs_but_for_one_action():
    ours, smac = make("async:smac-8m", "8m"), make("async:smac-8m", "8m", smac_compat=True)
    assert (smac.obs_dim, smac.state_dim, smac.n_actions + 1) == (ours.obs_dim, ours.state_dim, ours.n_actions)
