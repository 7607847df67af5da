"""What README.md states as facts is what the code does."""

from pathlib import Path

import async_envs.poac
from async_envs.poac.constants import METRIC_NAMES, SCENARIOS
from async_envs.poac.family import FAMILY
from async_envs.poac.simulator import make

README = (Path(async_envs.poac.__file__).parent / "README.md").read_text(encoding="utf-8")
TABLE_LINES = [line for line in README.splitlines() if line.startswith("|")]
ROWS = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in TABLE_LINES]


def test_options_are_listed_with_their_defaults():
    listed = {row[0]: row[2] for row in ROWS if len(row) == 4}
    for option in FAMILY.options:
        default = "the scenario's" if option.default is None else str(option.default)
        assert listed[option.name] == default


def test_scenarios_are_listed_as_they_are():
    rows = {row[0]: row for row in ROWS}
    for name, scenario in SCENARIOS.items():
        _, size, hidden, guided, bot = rows[f"async:poac-{name}"]
        assert size == f"{scenario.rows} x {scenario.columns}"
        assert (hidden == "yes") == bool(len(make(f"async:poac-{name}", name).world.board.hidden_cells))
        assert (guided == "yes") == scenario.guided
        assert bot.split()[0] == scenario.bot


def test_metrics_are_listed():
    assert all(f"`{name}`" in README for name in METRIC_NAMES)


def test_the_snippet_runs():
    snippet = README.split("```python\n")[1].split("```")[0]
    names: dict = {}
    exec(snippet, names)
    assert (names["sim"].t == 1).all()
