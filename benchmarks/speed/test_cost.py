"""One update of each algorithm beside plain QMIX: `python -m pytest benchmarks/speed/test_cost.py --benchmark-only`.

What is measured and how is said in benchmarks/speed/cost.py, which prints the same as Markdown.
"""

from typing import Any

import pytest

from benchmarks.speed.cost import AGENTS, ROUNDS, ROWS, STEPS, Cost, Refused, Row, measure


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label)
@pytest.mark.parametrize("n_steps", STEPS)
@pytest.mark.parametrize("n_agents", AGENTS)
def test_cost_beside_qmix(benchmark: Any, row: Row, n_agents: int, n_steps: int) -> None:
    """ROUNDS updates of each in turns, as one round of the benchmark."""
    costs: list[Cost] = []

    def turns() -> None:
        costs.append(measure(row, n_agents, n_steps, rounds=ROUNDS))

    try:
        benchmark.pedantic(turns, rounds=1)
    except Refused as reason:
        pytest.skip(f"refused: {reason}")
    benchmark.extra_info.update(
        s_per_update=costs[0].seconds, qmix_s=costs[0].qmix_seconds, over_qmix=costs[0].over_qmix,
        parameters=costs[0].parameters,
    )  # fmt: skip
    benchmark.group = f"{n_agents} agents, {n_steps} steps"
