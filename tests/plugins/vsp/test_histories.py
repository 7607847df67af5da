"""The proxies' own past: the learner's gathers give what 2N agents in a plain pipeline would compute.

Letters: B episodes, T1 stored steps, N agents, A actions, I input features.
"""

from typing import Any, Mapping

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import one_hot

from plugins.config.schema import config_names
from plugins.controllers.async_mac import AsyncMAC
from plugins.mixers import MIXERS
from plugins.vsp.environment import VSP
from plugins.vsp.histories import HISTORIES, gather, own_recurrence, proxy_batch
from plugins.vsp.indices import decision_steps, read_status
from tests.plugins.acting import make_toy, settings
from tests.plugins.tiny import configuration, make_learner, play
from tests.plugins.vsp.recording import agents_of, proxies_of, recorded

SEEDS = st.integers(0, 2**32)
VSP_ALGS = [name for name in config_names() if name in MIXERS and MIXERS[name].vsp]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
N_AGENTS = 3


def episodes(seed: int, n_episodes: int = 4, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Random play of the toy with three agents and their proxies."""
    seeds = [(seed + k) % 2**32 for k in range(n_episodes)]
    batch = recorded(VSP(make_toy(f"async:toy-{N_AGENTS}", n_episodes)), seeds, play=seed)
    return batch | {name: batch[name].to(dtype) for name in ("obs", "state", "reward")}


def controller(seed: int, batch: Mapping[str, Tensor], **changes: Any) -> AsyncMAC:
    """A controller of the N agents with random weights, in the batch's type."""
    args: Any = settings(n_agents=N_AGENTS, n_actions=batch["avail_actions"].shape[3], **changes)
    torch.manual_seed(seed)
    mac = AsyncMAC({"obs": {"vshape": batch["obs"].shape[3]}}, {"agents": N_AGENTS}, args)
    mac.agent.to(batch["obs"].dtype)
    mac.init_hidden(1)
    return mac


def slot_utilities(mac: AsyncMAC, batch: Mapping[str, Tensor]) -> Tensor:
    """Utilities [B, T1, 2N, A] of the plain pipeline: 2N slots side by side, each steps at every step.

    The proxy of agent i carries the id of agent i. Built from the simulator's own batch, step by step, by
    PyTorch's cell.
    """
    obs, actions = batch["obs"], batch["actions"].squeeze(3)
    n_episodes, n_steps, n_slots, _ = obs.shape
    dtype, n_actions = obs.dtype, batch["avail_actions"].shape[3]
    ids = torch.eye(N_AGENTS, dtype=dtype).repeat(n_slots // N_AGENTS, 1).expand(n_episodes, -1, -1)
    hidden = mac.agent.init_hidden().expand(n_episodes * n_slots, -1)
    q_all = []
    for t in range(n_steps):
        parts = [obs[:, t]]
        if mac._uses_last_action:
            last = one_hot(actions[:, t - 1], n_actions).to(dtype)
            parts.append(last if t > 0 else torch.zeros_like(last))
        if mac._uses_agent_id:
            parts.append(ids)
        q, hidden = mac.agent(torch.cat(parts, 2).flatten(0, 1), hidden)
        q_all.append(q.view(n_episodes, n_slots, -1))
    return torch.stack(q_all, 1)


def expected_proxies(mac: AsyncMAC, batch: Mapping[str, Tensor]) -> Tensor:
    """Utilities [B, T1, N] of the second N slots' only actions, 0 where the simulator masks the proxy."""
    q_taken = slot_utilities(mac, batch).gather(3, batch["actions"]).squeeze(3)
    unmasked = proxies_of(dict(batch))["avail_actions"][..., 0] == 0
    return q_taken[:, :, N_AGENTS:] * (unmasked & (batch["filled"] != 0))


def proxies(history: str, mac: AsyncMAC, batch: Mapping[str, Tensor]) -> Tensor:
    """What a learner reads from the N agents' batch, [B, T1, N]."""
    stored = agents_of(dict(batch))
    status = read_status(stored["avail_actions"], stored["filled"])
    q_taken = mac.unroll(stored).gather(3, stored["actions"]).squeeze(3)
    return HISTORIES[history](stored, status, decision_steps(status.deciding))(mac, q_taken)


@given(seed=SEEDS)
def test_the_proxies_batch_is_the_one_that_the_simulator_shows(seed: int) -> None:
    batch = episodes(seed)
    stored, shown = agents_of(batch), proxies_of(batch)
    status = read_status(stored["avail_actions"], stored["filled"])
    built = proxy_batch(stored, status.executing, decision_steps(status.deciding))
    for name, values in built.items():
        assert torch.equal(values, shown[name]), name


@pytest.mark.parametrize("dtype", TOLERANCE)
@given(
    seed=SEEDS,
    options=st.fixed_dictionaries({
        name: st.booleans() for name in ("use_rnn", "obs_last_action", "obs_agent_id")
    }),
)
def test_utilities_and_gradients_are_those_of_two_n_agents_in_a_plain_pipeline(
    dtype: torch.dtype, seed: int, options: dict[str, bool]
) -> None:
    batch = episodes(seed, dtype=dtype)
    mac = controller(seed, batch, **options)
    ours, expected = proxies("own_recurrence", mac, batch), expected_proxies(mac, batch)
    torch.testing.assert_close(ours, expected, rtol=0, atol=TOLERANCE[dtype])
    weights = torch.randn_like(expected)
    parameters = list(mac.parameters())
    for mine, theirs in zip(
        torch.autograd.grad((ours * weights).sum(), parameters, allow_unused=True),
        torch.autograd.grad((expected * weights).sum(), parameters, allow_unused=True),
    ):
        if theirs is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-3 if dtype == torch.float32 else 1e-9,
                                       atol=100 * TOLERANCE[dtype])


def test_the_reference_is_worth_comparing_with() -> None:
    """Random play brings proxies at many steps, some after a masked step and some after another's end."""
    batch = episodes(0)
    status = read_status(agents_of(batch)["avail_actions"], batch["filled"])
    begins = status.executing[:, 1:] & ~status.executing[:, :-1]
    assert int(status.executing.sum()) > 40 and int(begins.sum(1).max()) > 1
    assert len(set(batch["filled"].sum((1, 2)).tolist())) > 1


@given(seed=SEEDS)
def test_without_memory_and_last_action_both_histories_are_equal(seed: int) -> None:
    batch = episodes(seed)
    mac = controller(seed, batch, use_rnn=False, obs_last_action=False)
    torch.testing.assert_close(
        proxies("gather", mac, batch), proxies("own_recurrence", mac, batch), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("changes", [
    {"use_rnn": True, "obs_last_action": False},
    {"use_rnn": True, "obs_last_action": True},
    {"use_rnn": False, "obs_last_action": True},
])
def test_with_memory_or_last_action_they_differ(changes: dict[str, bool]) -> None:
    batch = episodes(1)
    mac = controller(1, batch, **changes)
    assert (proxies("gather", mac, batch) - proxies("own_recurrence", mac, batch)).abs().max() > 1e-3


# in the learner


def test_the_learner_mixes_the_chosen_proxies_of_each_side_under_its_own_parameters() -> None:
    batch = episodes(2)
    stored = agents_of(batch)
    learner = make_learner("vdn_a", stored, fused=True, proxy_history="own_recurrence")
    sides = learner.compute(stored).sides
    mask = sides.mask.squeeze(2)
    live, target = expected_proxies(learner.mac, batch), expected_proxies(learner.target_mac, batch)
    torch.testing.assert_close(sides.live.extras.q_proxy, live[:, :-1][mask], rtol=0, atol=1e-10)
    torch.testing.assert_close(sides.target.extras.q_proxy, target[:, 1:][mask], rtol=0, atol=1e-10)
    assert not sides.target.extras.q_proxy.requires_grad


@pytest.mark.parametrize("alg, changes", [("qatten_a", {}), ("mvd", {"mvd_hat_state": True})])
def test_the_learner_hands_its_mixers_what_the_simulator_shows_to_the_proxies(
    alg: str, changes: dict[str, Any]
) -> None:
    """A proxy sees what its agent saw when it decided, not what it sees now; at step t and at step t + 1."""
    batch = episodes(6)
    stored, shown = agents_of(batch), proxies_of(batch)["obs"]
    sides = make_learner(alg, stored, fused=True, **changes).compute(stored).sides
    mask = sides.mask.squeeze(2)
    for side, expected in ((sides.live, shown[:, :-1][mask]), (sides.target, shown[:, 1:][mask])):
        executing = side.extras.executing
        assert executing.any()
        assert torch.equal(side.extras.obs_decision[executing], expected[executing])


@pytest.mark.parametrize("alg", VSP_ALGS)
def test_every_algorithm_with_proxies_trains_on_either_history_and_they_differ(alg: str) -> None:
    stored = agents_of(episodes(3))
    losses = []
    for history in HISTORIES:
        learner = make_learner(alg, stored, fused=True, proxy_history=history)
        before = [parameter.detach().clone() for parameter in learner.params]
        update = learner.compute(stored)
        learner.train(stored, t_env=1, episode_num=1)
        assert all(not torch.equal(old, new) for old, new in zip(before, learner.params))
        losses.append(float(update.loss.detach()))
    assert abs(losses[0] - losses[1]) > 1e-4


def test_the_constant_of_mvd_follows_the_proxies_that_are_mixed() -> None:
    batch = episodes(4)
    stored = agents_of(batch)
    learner = make_learner("mvd", stored, fused=True, proxy_history="own_recurrence")
    with torch.no_grad():
        for mac in (learner.mac, learner.target_mac):
            mac.agent.fc2.bias.sub_(1.0)  # so that utilities are negative and C is not 0
        largest = max(float(-expected_proxies(mac, batch).min()) for mac in (learner.mac, learner.target_mac))
    learner.compute(stored)
    assert float(learner.mixer.minimum.value) == pytest.approx(largest, abs=1e-10)
    other = make_learner("mvd", stored, fused=True, proxy_history="gather")
    for mine, theirs in ((other.mac, learner.mac), (other.target_mac, learner.target_mac)):
        mine.load_state(theirs)
    other.compute(stored)
    assert abs(float(other.mixer.minimum.value) - largest) > 1e-6


@pytest.mark.parametrize("alg", VSP_ALGS)
@given(seed=st.integers(0, 10_000))
def test_without_long_actions_the_history_does_not_matter(alg: str, seed: int) -> None:
    batch = play(seed, longest=1)
    losses = [make_learner(alg, batch, proxy_history=each).compute(batch).loss for each in HISTORIES]
    assert torch.equal(*losses)


@given(seed=st.integers(0, 10_000))
def test_steps_that_were_never_played_change_nothing(seed: int) -> None:
    batch = play(seed)
    longer = {name: torch.cat([x, torch.zeros_like(x[:, :3])], 1) for name, x in batch.items()}
    losses = [
        make_learner("mvd", each, fused=True, proxy_history="own_recurrence").compute(each).loss
        for each in (batch, longer)
    ]
    torch.testing.assert_close(losses[0], losses[1], rtol=0, atol=1e-12)


def test_a_proxys_past_costs_one_more_unroll_for_each_network_and_only_where_it_is_asked_for() -> None:
    stored = agents_of(episodes(5))
    for history, expected in (("gather", 1), ("own_recurrence", 2)):
        learner = make_learner("qmix_a", stored, fused=True, proxy_history=history)
        counts = {"live": 0, "target": 0}
        for name, mac in (("live", learner.mac), ("target", learner.target_mac)):
            def counted(batch: Any, name: str = name, unroll: Any = mac.unroll) -> Any:
                counts[name] += 1
                return unroll(batch)

            mac.unroll = counted
        learner.compute(stored)
        assert counts == {"live": expected, "target": expected}


def test_the_table_offers_what_the_key_accepts_and_names_its_functions() -> None:
    assert HISTORIES == {"gather": gather, "own_recurrence": own_recurrence}
    for name in HISTORIES:
        make_learner("mvd", play(0), proxy_history=name)


def test_the_table_of_mixers_says_vsp_exactly_where_a_mixer_takes_proxies() -> None:
    for name in MIXERS:
        alg = "mvd" if name == "boltzmann_heads" else name
        changes = {"mixer": name, "mvd_form": "boltzmann"} if alg != name else {}
        needs = make_learner(alg, play(0), **changes).mixer.needs
        assert MIXERS[name].vsp == ("q_proxy" in needs) == ("executing" in needs)


# the key


def test_the_algorithms_with_proxies_have_the_key_and_the_others_do_not() -> None:
    assert VSP_ALGS == ["avf_qmix", "avf_vdn", "mvd", "na2q_a", "qatten_a", "qmix_a", "qplex_a", "vdn_a"]
    for name in config_names():
        given = configuration(name)
        assert given.get("proxy_history") == ("gather" if name in VSP_ALGS else None)
        assert ("proxy_history" in given) == (name in VSP_ALGS)


def test_the_learner_refuses_the_key_where_it_has_no_proxies() -> None:
    words = "qmix_learner: proxy_history='gather' does nothing with mixer='qmix'"
    with pytest.raises(ValueError, match=words):
        make_learner("qmix", play(0), proxy_history="gather")
