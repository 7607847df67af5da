"""The controller of ICES: its exploration policy acts in training only, at decisions only, and remembers."""

import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from async_envs.core.simulator import CONTINUE, NOOP
from plugins.controllers.async_mac import AsyncMAC
from plugins.controllers.ices_mac import IcesMAC
from tests.plugins.acting import build_runner, settings

KEYS = {"ices_beta_start": 1.0, "ices_beta_finish": 1.0, "t_max": 10_000, "epsilon_finish": 0.0}


def exploring(**changes: Any) -> SimpleNamespace:
    """Settings in which, once epsilon is 0, every training action is the policy's."""
    return settings(**{**KEYS, "epsilon_start": 0.0, **changes})


def batch_and_mac(**changes: Any) -> tuple[Any, IcesMAC]:
    """Four finished training episodes of the toy, and the controller that played them."""
    runner, mac = build_runner(exploring(**changes), controller=IcesMAC)
    return runner.run(), mac


def stored_logits(mac: IcesMAC, batch: Any) -> np.ndarray:
    """[B, T1, N, A] by the fused unroll."""
    inputs, packing = mac.explorer_inputs(batch)
    with torch.no_grad():
        logits, _ = mac.explorer.unroll(inputs, packing, False)
    return logits.view(*batch["avail_actions"].shape).numpy()


@pytest.mark.parametrize("use_rnn", [True, False])
def test_acting_sees_the_logits_that_unrolling_computes(use_rnn: bool) -> None:
    """With episodes dropping out, `act` hands to the selector the q_all and the logits of training, to 1e-5."""
    batch, mac = batch_and_mac(use_rnn=use_rnn)
    q_all, logits = mac.unroll(batch).detach().numpy(), stored_logits(mac, batch)
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def select(q: np.ndarray, nu: np.ndarray, avail: np.ndarray, t_env: int) -> np.ndarray:
        seen.append((q.copy(), nu.copy()))
        return avail.argmax(-1)

    mac.action_selector.select_with_policy = select  # type: ignore[method-assign]
    mac.init_hidden(4)
    filled = batch["filled"][:, :, 0].numpy()
    n_rows = set()
    for t in range(int(filled.sum(1).max())):
        rows = np.flatnonzero(filled[:, t])
        n_rows.add(len(rows))
        last = np.full((4, 3), -1) if t == 0 else batch["actions"][:, t - 1, :, 0].numpy()
        obs, avail, state = (batch[name][rows, t].numpy() for name in ("obs", "avail_actions", "state"))
        mac.act(obs, avail, last[rows], rows, 0, False, state)
        np.testing.assert_allclose(seen[-1][0], q_all[rows, t], atol=1e-5)
        np.testing.assert_allclose(seen[-1][1], logits[rows, t], atol=1e-5)
    assert len(n_rows) > 1  # some episode ended earlier


def test_select_actions_sees_them_too() -> None:
    batch, mac = batch_and_mac()
    logits = stored_logits(mac, batch)
    seen: list[np.ndarray] = []
    mac.action_selector.select_with_policy = (  # type: ignore[method-assign]
        lambda q, nu, avail, t_env: seen.append(nu.copy()) or avail.argmax(-1)  # type: ignore[func-returns-value]
    )
    mac.init_hidden(4)
    for t in range(batch.max_seq_length):
        mac.select_actions(batch, t, 0, bs=[1, 3])
        played = batch["filled"][[1, 3], t, 0].numpy() == 1
        np.testing.assert_allclose(seen[-1][played], logits[[1, 3], t][played], atol=1e-5)


def test_select_actions_answers_for_the_chosen_episodes_with_available_actions() -> None:
    batch, mac = batch_and_mac()
    mac.init_hidden(4)
    actions = mac.select_actions(batch, 0, 0, bs=[0, 2], test_mode=False)
    assert actions.shape == (2, 3) and actions.dtype == torch.int64
    assert (batch["avail_actions"][[0, 2], 0].gather(2, actions.unsqueeze(2)) == 1).all()


def test_the_vector_runner_lets_the_policy_act() -> None:
    """A policy that knows one action only: with a share of 1 every decision that allows it takes it."""
    runner, mac = build_runner(exploring(), controller=IcesMAC)
    with torch.no_grad():
        mac.explorer.fc2.bias[3] = 1000.0
        mac.agent.fc2.bias[3] = -1000.0
    batch = runner.run()
    may = (batch["avail_actions"][..., 3] != 0) & (batch["filled"] != 0)
    assert bool(may.any()) and bool((batch["actions"][..., 0][may] == 3).all())
    greedy = runner.run(test_mode=True)
    may = (greedy["avail_actions"][..., 3] != 0) & (greedy["avail_actions"].sum(-1) > 1)
    assert bool(may.any()) and not bool((greedy["actions"][..., 0][may] == 3).any())


def test_who_executes_or_is_out_does_not_explore() -> None:
    """Epsilon and the policy have nothing to choose there: `continue` and `noop` are taken whatever the logits."""
    runner, _ = build_runner(exploring(epsilon_start=0.5, epsilon_finish=0.5), controller=IcesMAC)
    batch = runner.run()
    actions, avail = batch["actions"][..., 0], batch["avail_actions"]
    for forced in (NOOP, CONTINUE):
        here = avail[..., forced] != 0
        assert bool((actions[here] == forced).all())
    assert bool((avail[..., CONTINUE] != 0).any())


def test_tests_are_greedy_and_never_ask_the_policy() -> None:
    """Test episodes are those of a controller without one, and its hidden state does not move in them."""
    batch, mac = batch_and_mac()
    plain = AsyncMAC(
        {"obs": {"vshape": batch["obs"].shape[3]}}, {"agents": 3}, settings(n_agents=3, n_actions=mac.n_actions)
    )
    plain.load_state(mac)
    for each in (mac, plain):
        each.init_hidden(4)
    state = batch["state"][:, 0].numpy()
    obs, avail = batch["obs"][:, 0].numpy(), batch["avail_actions"][:, 0].numpy()
    given = (obs, avail, np.full((4, 3), -1), np.arange(4), 0, True)
    assert (mac.act(*given, state) == plain.act(*given)).all()
    expected = plain.action_selector.select(mac.unroll(batch)[:, 0].detach().numpy(), avail, 0, True)
    mac.init_hidden(4)
    assert (mac.select_actions(batch, 0, 0, test_mode=True).numpy() == expected).all()
    assert not bool(mac.explorer_hidden.any())


def test_testing_does_not_change_training() -> None:
    changes = {"epsilon_start": 0.3, "ices_beta_start": 0.5, "ices_beta_finish": 0.5}
    plain, _ = build_runner(exploring(**changes), controller=IcesMAC)
    tested, _ = build_runner(exploring(**changes), controller=IcesMAC)
    for _ in range(3):
        expected = plain.run()
        tested.evaluate(5)
        tested.run(test_mode=True)
        given = tested.run()
        assert all(torch.equal(given[name], expected[name]) for name in ("obs", "actions", "reward"))


def test_without_a_state_it_is_epsilon_greedy() -> None:
    """As `registry verify` plays it."""
    batch, mac = batch_and_mac()
    mac.init_hidden(4)
    obs, avail = batch["obs"][:, 0].numpy(), batch["avail_actions"][:, 0].numpy()
    actions = mac.act(obs, avail, np.full((4, 3), -1), np.arange(4), 0, False)
    best = np.where(avail != 0, mac.unroll(batch)[:, 0].detach().numpy(), -np.inf).argmax(-1)
    assert (actions == best).all()


def test_the_agents_network_is_that_of_the_plain_controller() -> None:
    """The same seed begins with the same utilities, so that runs with and without exploration can be compared."""
    _, mac = build_runner(exploring(), controller=IcesMAC)
    _, plain = build_runner(exploring())
    ours, theirs = mac.agent.state_dict(), plain.agent.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert [id(p) for p in mac.parameters()] == [id(p) for p in mac.agent.parameters()]


def test_models_saved_are_models_loaded(tmp_path: Any) -> None:
    batch, mac = batch_and_mac()
    mac.save_models(tmp_path)
    assert {"agent.th", "explorer.th"} == {path.name for path in tmp_path.iterdir()}
    _, other = batch_and_mac(seed=8)
    assert not np.array_equal(stored_logits(other, batch), stored_logits(mac, batch))
    other.load_models(tmp_path)
    assert np.array_equal(stored_logits(other, batch), stored_logits(mac, batch))
    assert torch.equal(other.unroll(batch), mac.unroll(batch))
    (tmp_path / "explorer.th").unlink()
    with pytest.raises(ValueError, match="explorer.th: not found"):
        other.load_models(tmp_path)


def test_a_deep_copy_shares_nothing_and_takes_both_networks_over() -> None:
    batch, mac = batch_and_mac()
    other = copy.deepcopy(mac)
    with torch.no_grad():
        next(other.explorer.parameters()).add_(1.0)
    assert not np.array_equal(stored_logits(other, batch), stored_logits(mac, batch))
    other.load_state(mac)
    assert np.array_equal(stored_logits(other, batch), stored_logits(mac, batch))


def test_a_key_that_is_missing_is_named() -> None:
    args = exploring()
    del args.ices_beta_start
    with pytest.raises(ValueError, match="ices_mac: key 'ices_beta_start' is missing"):
        build_runner(args, controller=IcesMAC)
