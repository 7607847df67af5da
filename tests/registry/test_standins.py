"""Modules that stand in for what a host imports and a machine lacks."""

from pathlib import Path

import pytest

from registry.hosts.standins.imp import load_source


def test_a_source_file_becomes_a_module(tmp_path: Path) -> None:
    (tmp_path / "scenario.py").write_text("class Scenario:\n    n_agents = 3\n")
    found = load_source("a_scenario", str(tmp_path / "scenario.py"))
    assert (3, "a_scenario") == (found.Scenario().n_agents, found.__name__)
    with pytest.raises(OSError):
        load_source("none", str(tmp_path / "none.py"))
