"""Scripted play on 2s_vs_1sc: the table of the family's README is what the command measures."""

from pathlib import Path

import pytest
from click.testing import CliRunner

import async_envs.smac
from benchmarks import smac_sanity

README = (Path(async_envs.smac.__file__).parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("profile", smac_sanity.PROFILES)
def test_the_readmes_figures_without_chance(profile: str) -> None:
    line = next(line for line in README.splitlines() if line.startswith(f"| {profile} | False |"))
    measured = smac_sanity.row(smac_sanity.Scene(durations="index_mod3", profile=profile), 30, False)
    assert [cell.strip() for cell in line.strip("|").split("|")][2:] == measured


def test_the_command_prints_both_tables() -> None:
    printed = CliRunner().invoke(smac_sanity.main, ["--games", "1"]).output
    starts = tuple(f"| {name} |" for name in smac_sanity.PROFILES)
    assert 12 == sum(line.startswith(starts) for line in printed.splitlines())
