"""Recorded episodes of the original come out of the kernels step for step.

Another folder of traces: `OVERCOOKED_TRACES=FOLDER python -m pytest -k trace tests/async_envs/overcooked`.
"""

import numpy as np
import pytest

from tests.async_envs.overcooked import traces
from tests.counted import count


def test_every_trace_of_the_folder_is_replayed_without_a_difference():
    """World, translated macros, memories, observations, rewards, ends and finished flags at every step."""
    where = traces.folder()
    found = [traces.Trace(path) for path in traces.files(where)]
    differences = [line for line in map(traces.first_difference, found) if line]
    for trace in found:
        count("traces", f"{trace.name}/{trace.n_episodes}/{trace.n_steps}")
    assert differences == []
    assert {trace.is_macro for trace in found} == {True, False} or where != traces.KEPT


def test_a_folder_without_traces_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv(traces.VARIABLE, str(tmp_path))
    with pytest.raises(FileNotFoundError, match="holds no trace"):
        traces.files(traces.folder())


@pytest.mark.parametrize(
    "name", ["cells", "holding", "board", "plates", "prim_actions", "belief", "state", "events", "reward", "done",
             "mac_done", "cur_mac", "obs", "avail"]
)  # fmt: skip
def test_a_trace_that_differs_anywhere_is_noticed(name):
    """One entry of one array is changed; the line names file, episode, step and array."""
    trace = traces.Trace(next(path for path in traces.files(traces.KEPT) if path.name.startswith("macro")))
    values = trace.arrays[name]
    row = int(trace.starts[1])  # the first step of the second episode
    entry = (row, *(0,) * (values.ndim - 1))
    if values.dtype.kind == "f":
        values[entry] += 2e-6 if values.dtype == np.float32 else 1e-4
    else:
        values[entry] = not values[entry] if values.dtype == np.bool_ else values[entry] + 1
    line = traces.first_difference(trace)
    assert line.startswith(f"{trace.name}: episode 1, step 0, {name}: recorded")
