"""docs/howto.md: its Python runs on a run's folder, its commands and its protocol are accepted, its links exist."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.ablations.__main__ import main as ablations
from benchmarks.leaderboard.__main__ import VERBS
from benchmarks.leaderboard.protocol import load
from tests.registry.command import FOLDER, run

PAGE = Path(__file__).parents[2] / "docs" / "howto.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The page's code blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a reader stands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYMARL_HOST", "embedded")


def test_the_python_runs_and_reads_what_a_run_wrote() -> None:
    pytest.importorskip("pandas")
    assert 0 == run(save_best_model=True)
    names: dict[str, Any] = {"RUN_DIR": FOLDER}
    for block in blocks("python"):
        exec(compile(block, str(PAGE), "exec"), names)
    assert (names["sim"].terminated | names["sim"].truncated).all()
    curves, tests = names["curves"], names["tests"]
    last = tests["t_env"].max()
    assert np.isclose(curves["test_return_mean"][last], tests[tests["t_env"] == last]["return"].mean())
    assert 8 == len(names["episodes"]) and names["episodes"][0].actions.shape[1] == names["sim"].n_agents


def test_the_protocol_is_one_and_every_field_is_required() -> None:
    (block,) = blocks("yaml")
    Path("mine.yaml").write_text(block, encoding="utf-8")
    assert ("mvd", "qmix") == load("mine.yaml").algorithms
    for name in re.findall(r"^(\w+):", block, re.MULTILINE):
        Path("less.yaml").write_text(re.sub(rf"^{name}:.*\n(  .*\n)*", "", block, flags=re.MULTILINE))
        with pytest.raises(ValueError, match=name):
            load("less.yaml")


def test_the_commands_are_accepted() -> None:
    commands = [shlex.split(line) for block in blocks("bash") for line in block.splitlines()]
    assert {"benchmarks.ablations", "benchmarks.leaderboard"} == {words[2] for words in commands}
    for words in commands:
        if words[2] == "benchmarks.leaderboard":
            assert words[3] in VERBS
            continue
        told = CliRunner().invoke(ablations, [*words[3:], "--dry-run"])
        assert 0 == told.exit_code, told.output
        assert 1 + 2 * 3 == len(told.output.splitlines())


def test_links_exist() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert (PAGE.parent / link).exists(), link
