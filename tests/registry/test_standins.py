"""Modules that stand in for what a host imports and a machine lacks."""

import sys
from pathlib import Path

import pytest

from registry.hosts.standins.imp import load_source


def test_a_source_file_becomes_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    (tmp_path / "scenario.py").write_text("class Scenario:\n    n_agents = 3\n")
    for name in ("a_scenario", ""):  # PyMARLzoo+ gives none
        found = load_source(name, str(tmp_path / "scenario.py"))
        assert (3, name) == (found.Scenario().n_agents, found.__name__)
    with pytest.raises(OSError):
        load_source("none", str(tmp_path / "none.py"))
