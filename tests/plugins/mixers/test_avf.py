"""AVF's slots and macro-state, row by row."""

import pytest
import torch

from plugins.mixers.base import EMPTY
from tests.plugins.mixers.test_mixers import build, rows


@pytest.mark.parametrize("name", ["avf_vdn", "avf_qmix"])
@pytest.mark.parametrize("update", ["D0", "D1", "D2"])
def test_the_base_mixes_one_slot_for_each_agent(name: str, update: str) -> None:
    torch.manual_seed(0)
    mixer = build(name, avf_update=update)
    q, state, extras = rows()
    values = mixer(q, state, extras)
    for r in range(len(q)):
        slots, states = [], []
        for i in range(3):
            executes = bool(extras.executing[r, i])
            slots.append(float(extras.q_proxy[r, i]) * (update != "D2") if executes else float(q[r, i]))
            states.append(extras.state_decision[r, i] if executes else state[r])
        seen = torch.cat(states) if name == "avf_qmix" else state[r]
        expected = mixer.base(torch.tensor(slots).double(), seen, EMPTY)
        torch.testing.assert_close(values[r], expected, check_dtype=False, rtol=0, atol=1e-6)


def test_an_explanation_shows_the_slope_that_training_stops() -> None:
    """D1: an executing agent's slot counts as under D0, and nothing is sent back to it."""
    torch.manual_seed(0)
    stopped, free = build("avf_qmix", avf_update="D1"), build("avf_qmix")
    free.load_state_dict(stopped.state_dict())
    given = rows()
    executing = given[2].executing
    here, there = stopped.explain(*given), free.explain(*given)
    torch.testing.assert_close(here.slope, there.slope)
    assert float(here.gradient[:, 3:].abs().max()) == 0.0
    assert bool((here.slope[:, 3:][executing] > 0).all())
    torch.testing.assert_close(here.gradient[:, :3], there.gradient[:, :3])
