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


def test_the_readmes_discounted_returns() -> None:
    """By profile and discount, and that under the paper's 0.99 no scripted win is worth what losing well is (map)."""
    rows = [line for line in README.splitlines() if line.startswith("| map | 0.99 |")]
    assert len(rows) == 1
    printed = smac_sanity.worth_table().splitlines()[2:]
    assert len(printed) == len(smac_sanity.PROFILES) * len(smac_sanity.GAMMAS)
    assert all(line in README for line in printed)
    found = smac_sanity.worths(smac_sanity.Scene(durations="index_mod3", profile="map"))
    by_gamma = {gamma: [best[k] for _, best in found] for k, gamma in enumerate(smac_sanity.GAMMAS)}
    wins = [k for k, (is_won, _) in enumerate(found) if is_won]
    assert max(by_gamma[0.99][k] for k in wins) < by_gamma[0.99][1]  # share, which loses
    assert max(by_gamma[0.995][k] for k in wins) > by_gamma[0.995][1]


def test_the_command_prints_all_tables() -> None:
    printed = CliRunner().invoke(smac_sanity.main, ["--games", "1"]).output
    starts = tuple(f"| {name} |" for name in smac_sanity.PROFILES)
    assert 24 == sum(line.startswith(starts) for line in printed.splitlines())
