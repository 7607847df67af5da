"""The table of costs: every algorithm has a row, parameters by hand, what is refused says why."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.speed import cost
from benchmarks.speed.cost import ROWS, Cost, Refused, Row, build, markdown, measure, n_parameters
from plugins.config.schema import config_names
from registry import catalog

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label)
def test_every_algorithm_is_measured_beside_qmix(row: Row) -> None:
    found = measure(row, n_agents=3, n_steps=4, episodes=2, rounds=1)
    assert found.seconds > 0 and found.qmix_seconds > 0
    assert found.over_qmix == found.seconds / found.qmix_seconds


def test_no_algorithm_is_left_out() -> None:
    assert set(config_names()) == {row.config for row in ROWS if not row.changes}
    assert len(ROWS) == len({row.label for row in ROWS})


AGENT = (165 * 64 + 64) + (3 * 64 * 128 + 6 * 64) + (64 * 12 + 12)  # 150 features, 12 actions, 3 ids; GRU of 64


@pytest.mark.parametrize("name, mixer", [
    ("vdn", 0),
    ("qmix", (120 * 64 + 64) * 2 + (64 * 96 + 96) + (64 * 32 + 32) + (120 * 32 + 32) * 2 + 33),
])  # fmt: skip
def test_parameters_are_counted_once_and_without_target_networks(name: str, mixer: int) -> None:
    assert AGENT + mixer == n_parameters(build(Row(name), 3, 4))


def test_an_order_that_is_too_large_is_refused_with_its_number() -> None:
    """16 slots make 16 + 120 + 560 sets; 696 squared times 64 weights."""
    with pytest.raises(Refused, match="696 terms.*31,002,624 weights"):
        measure(Row("na2q_a", (("na2q_order", 3),)), 8, 4, episodes=2, rounds=1)
    with pytest.raises(Refused, match="mvd_order=3 is not accepted with 2 agents"):
        measure(Row("mvd", (("mvd_order", 3),)), 2, 4, episodes=2, rounds=1)


def test_what_the_memory_cannot_hold_is_refused() -> None:
    """In a process of its own, whose memory is short: the batch alone would have 5 GB."""
    code = (
        "from benchmarks.speed import cost\n"
        "cost.FREE_SHARE = 0.05\n"
        "try:\n"
        "    cost.measure(cost.BASE, 8, 600, episodes=1800, rounds=1)\n"
        "except cost.Refused as reason:\n"
        "    print(reason)\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "qmix: needs more memory than the" in done.stdout, done.stderr
    assert done.stdout.rstrip().endswith("GB that are free, at 8 agents and 600 steps.")


def test_the_markdown_table_by_hand() -> None:
    mvd, wide = Row("mvd"), Row("na2q_a", (("na2q_order", 3),))
    costs: dict[tuple[Row, int, int], Cost | str] = {
        (mvd, 3, 20): Cost(0.5, 0.25, 1234), (mvd, 8, 20): Cost(1.0, 0.8, 5678),
        (wide, 3, 20): Cost(3.0, 0.25, 99), (wide, 8, 20): "too many weights",
    }  # fmt: skip
    assert markdown((3, 8), (20,), costs).splitlines() == [
        "| algorithm | s, n = 3, T = 20 | s, n = 8, T = 20 | parameters, n = 3 | parameters, n = 8 |",
        "| --- | --- | --- | --- | --- |",
        "| `mvd` | 0.5 (2.00 ×) | 1 (1.25 ×) | 1,234 | 5,678 |",
        "| `na2q_a na2q_order=3` | 3 (12.00 ×) | refused (1) | 99 | - |",
        "",
        "(1) too many weights",
    ]


def test_the_command_prints_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "machine", lambda: "a machine")
    out = tmp_path / "table.md"
    words = ["--agents", "8", "--steps", "4", "--episodes", "2", "--only", "na2q_a", "--out", str(out)]
    done = CliRunner().invoke(cost.main, words)
    assert 0 == done.exit_code, done.output
    lines = out.read_text().splitlines()
    widths = "150 observation features, 12 actions, 120 state features"
    assert f"a machine; 2 episodes an update, {widths}, one thread" == lines[0]
    names = [line.split(" | ")[0][2:] for line in lines[4:7]]
    assert ["`na2q_a`", "`na2q_a na2q_order=1`", "`na2q_a na2q_order=3`"] == names
    assert "refused (1)" in lines[6] and lines[8].startswith("(1) na2q_a: na2q_order=3 with 16 slots")
    assert out.read_text() in done.stdout


def test_a_task_gives_the_sizes(tmp_path: Path) -> None:
    """And the one network that VDN trains has as many parameters as worked out here."""
    task = catalog.make("async:tabular-relay", batch_size=1)
    words = ["--key", "async:tabular-relay", "--episodes", "2", "--only", "vdn"]
    done = CliRunner().invoke(cost.main, words)
    assert 0 == done.exit_code, done.output
    assert f"{task.obs_dim} observation features, {task.n_actions} actions, {task.state_dim} state" in done.stdout
    assert f"s, n = {task.n_agents}, T = {task.episode_limit} |" in done.stdout
    n, n_in = task.n_actions, task.obs_dim + task.n_actions + task.n_agents
    assert f"| {(n_in + 1) * 64 + 3 * 64 * 128 + 6 * 64 + 65 * n:,} |" in done.stdout


def test_an_unknown_task_is_one_line() -> None:
    done = CliRunner().invoke(cost.main, ["--key", "async:poca-1"])
    assert 2 == done.exit_code and 1 == done.stderr.count("\n") and "Did you mean 'poac'" in done.stderr


def test_an_unknown_algorithm_is_one_line() -> None:
    done = CliRunner().invoke(cost.main, ["--only", "qmixx"])
    assert 2 == done.exit_code and 1 == done.stderr.count("\n") and "qmixx is no algorithm" in done.stderr
