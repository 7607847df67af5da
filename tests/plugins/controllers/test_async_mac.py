"""The controller: acting, unrolling, saving."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from plugins.controllers.async_mac import AsyncMAC
from tests.plugins.acting import build_runner, settings


def batch_and_mac(**changes: Any) -> tuple[Any, AsyncMAC]:
    """Four finished training episodes of the toy, and the controller that played them."""
    runner, mac = build_runner(settings(**changes))
    return runner.run(), mac


@pytest.mark.parametrize("use_rnn", [True, False])
def test_acting_sees_the_utilities_that_unrolling_computes(use_rnn: bool) -> None:
    """What `act` hands to the selector, step by step with episodes dropping out, is q_all to 1e-5."""
    batch, mac = batch_and_mac(use_rnn=use_rnn)
    q_all = mac.unroll(batch).detach().numpy()
    seen: list[np.ndarray] = []
    mac.action_selector.select = lambda q, avail, *_: seen.append(q.copy()) or avail.argmax(-1)
    mac.init_hidden(4)
    filled = batch["filled"][:, :, 0].numpy()
    for t in range(int(filled.sum(1).max())):
        rows = np.flatnonzero(filled[:, t])
        last = np.full((4, 3), -1) if t == 0 else batch["actions"][:, t - 1, :, 0].numpy()
        mac.act(
            batch["obs"][rows, t].numpy(), batch["avail_actions"][rows, t].numpy(), last[rows], rows, 0, False
        )
        np.testing.assert_allclose(seen[-1], q_all[rows, t], atol=1e-5)


def test_forward_step_by_step_equals_unroll() -> None:
    batch, mac = batch_and_mac()
    q_all = mac.unroll(batch)
    mac.init_hidden(4)
    for t in range(batch.max_seq_length):
        q = mac.forward(batch, t)
        played = batch["filled"][:, t, 0] == 1
        torch.testing.assert_close(q[played], q_all[:, t][played], rtol=0, atol=1e-5)


def test_select_actions_answers_for_the_chosen_episodes_with_available_actions() -> None:
    batch, mac = batch_and_mac()
    mac.init_hidden(4)
    actions = mac.select_actions(batch, 0, 0, bs=[0, 2], test_mode=False)
    assert actions.shape == (2, 3) and actions.dtype == torch.int64
    assert (batch["avail_actions"][[0, 2], 0].gather(2, actions.unsqueeze(2)) == 1).all()


def test_select_actions_survives_rows_that_allow_nothing() -> None:
    batch, mac = batch_and_mac()
    last = batch.max_seq_length - 1
    batch["avail_actions"][:, last] = 0
    mac.init_hidden(4)
    assert (mac.select_actions(batch, last, 0) == 0).all()


def test_unrolling_leaves_the_acting_state_alone() -> None:
    batch, mac = batch_and_mac()
    mac.init_hidden(4)
    mac.forward(batch, 0)
    before = mac.hidden_states.clone()
    mac.unroll(batch)
    assert torch.equal(mac.hidden_states, before)


def test_a_deep_copy_acts_alike_and_shares_nothing() -> None:
    batch, mac = batch_and_mac()
    other = copy.deepcopy(mac)
    assert torch.equal(other.unroll(batch), mac.unroll(batch))
    with torch.no_grad():
        next(other.parameters()).add_(1.0)
    assert not torch.equal(other.unroll(batch), mac.unroll(batch))
    other.load_state(mac)
    assert torch.equal(other.unroll(batch), mac.unroll(batch))


def test_models_saved_are_models_loaded(tmp_path) -> None:
    batch, mac = batch_and_mac()
    mac.save_models(tmp_path)
    _, other = batch_and_mac(seed=8)
    assert not torch.equal(other.unroll(batch), mac.unroll(batch))
    other.load_models(tmp_path)
    assert torch.equal(other.unroll(batch), mac.unroll(batch))


@pytest.mark.parametrize(
    "harm, line",
    [("missing", "agent.th: not found"), ("damaged", "cannot be read"), ("foreign", "of shape")],
)
def test_models_that_do_not_fit_are_one_line_and_change_nothing(harm, line, tmp_path) -> None:
    batch, mac = batch_and_mac()
    before = mac.unroll(batch)
    if harm == "damaged":
        (tmp_path / "agent.th").write_bytes(b"not a model")
    if harm == "foreign":
        batch_and_mac(hidden_dim=5)[1].save_models(tmp_path)
    with pytest.raises(ValueError, match=line) as caught:
        mac.load_models(tmp_path)
    assert "\n" not in str(caught.value)
    assert torch.equal(before, mac.unroll(batch))


def test_parameters_carry_the_hosts_names() -> None:
    _, mac = batch_and_mac()
    assert list(mac.agent.state_dict()) == [
        "fc1.weight", "fc1.bias", "rnn.weight_ih", "rnn.weight_hh", "rnn.bias_ih", "rnn.bias_hh",
        "fc2.weight", "fc2.bias",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "changes, line",
    [
        (
                {"agent": "rnm"},
                "async_mac: unknown agent 'rnm'. Did you mean 'rnn'? Known: rnn, rnn_individual.",
            ),
        ({"agent_output_type": "pi_logits"}, "async_mac: unknown agent_output_type 'pi_logits'. Known: q."),
        ({"action_selector": "x"}, "async_mac: unknown action_selector 'x'. Known: epsilon_greedy."),
    ],
)
def test_unknown_names_are_refused_in_one_line(changes: dict[str, str], line: str) -> None:
    with pytest.raises(ValueError) as error:
        AsyncMAC({"obs": {"vshape": 4}}, {"agents": 3}, settings(**changes))
    assert str(error.value) == line
