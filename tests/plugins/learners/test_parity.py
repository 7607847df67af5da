"""A whole update gives the recorded numbers: from the raw batch to the gradients of the agent."""

import pytest
import torch

from plugins.learners.targets import step_mask, td_lambda_targets
from plugins.vsp.indices import decision_steps, proxy_utilities, read_status
from tests.plugins.parity import assert_recorded, over
from tests.plugins.tiny import make_learner

ALGS = {
    "vdn_a": ("vdn_a", {}),
    "qmix_a": ("qmix_a", {"mixing_embed_dim": 8, "hypernet_embed": 16}),
    "mvd_K1": ("mvd", {"mvd_order": 1, "mvd_form": "d"}),
    "mvd_K2": ("mvd", {"mvd_order": 2, "mvd_form": "d"}),
    "mvd_K3": ("mvd", {"mvd_order": 3, "mvd_form": "d"}),
}


def raw_batch(case):
    """The case's batch as the host stores it: T + 1 steps of everything."""
    batch = {name: case[f"in.{name}"] for name in case.names("in.") if not name.startswith("mvd")}
    batch["actions"] = batch["actions"].long().unsqueeze(3)
    for name in ("reward", "terminated"):
        batch[name] = torch.cat([batch[name], torch.zeros_like(batch[name][:, :1])], dim=1)
    return batch


def recorded_learner(case, record, fused):
    alg, changes = ALGS[record]
    sizes = {"hidden_dim": case.meta["hidden_dim"], "gamma": case.meta["gamma"]}
    learner = make_learner(alg, raw_batch(case), fused=fused, **sizes, **changes)
    learner.mac.agent.load_state_dict(case.state_dict("param.live."))
    learner.target_mac.agent.load_state_dict(case.state_dict("param.target."))
    if alg == "qmix_a":
        learner.mixer.load_state_dict(case.state_dict("param.qmix_a."))
    if alg == "mvd":
        mixer = learner.mixer
        with torch.no_grad():
            for net in (mixer.first, mixer.bias, *mixer.interactions):
                net[2].weight.zero_()  # weights that do not depend on the state
            mixer.first[2].bias.copy_(torch.cat([case["in.mvd_a_real"], case["in.mvd_a_proxy"]]))
            mixer.bias[2].bias.fill_(case["in.mvd_bias"])
            for net, name in zip(mixer.interactions, ("c_pair", "c_triple")):
                net[2].bias.copy_(case[f"in.mvd_{name}"].flatten())
    learner.target_mixer.load_state_dict(learner.mixer.state_dict())
    return learner


def unpack(mask, rows):
    return torch.zeros(mask.shape, dtype=rows.dtype).masked_scatter(mask, rows.detach())


@pytest.mark.parametrize("fused", [False, True], ids=["loop", "fused"])
@pytest.mark.parametrize("record", ALGS)
@over("vsp_learner")
def test_update_parity(case, record, fused):
    learner = recorded_learner(case, record, fused)
    update = learner.compute(raw_batch(case))
    update.loss.backward()
    assert_recorded(case, f"out.{record}.loss", update.loss)
    assert_recorded(case, f"out.{record}.q_tot", unpack(update.sides.mask, update.q_tot))
    assert_recorded(case, f"out.{record}.target", unpack(update.sides.mask, update.target))
    for name, parameter in learner.mac.agent.named_parameters():
        assert_recorded(case, f"grad.{record}.{name}", parameter.grad)
    if record != "vdn_a" and record != "qmix_a":
        assert_recorded(case, "mid.C", learner.mixer.minimum.value)
        assert_recorded(case, "mid.C", learner.target_mixer.minimum.value)


@over("vsp_learner")
def test_indices_parity(case):
    batch = raw_batch(case)
    status = read_status(batch["avail_actions"], batch["filled"])
    for name in ("deciding", "executing", "inactive"):
        assert_recorded(case, f"mid.{name}", getattr(status, name).to(torch.uint8))
    decision_t = decision_steps(status.deciding)
    active = status.deciding | status.executing
    assert torch.equal(decision_t[active], case["mid.decision_step"][active].long())
    u = case["mid.u"]
    assert_recorded(case, "mid.p", proxy_utilities(u, decision_t, status.executing))
    mask = step_mask(batch["filled"], batch["terminated"][:, :-1])
    assert_recorded(case, "mid.mask", mask.double())


@over("td_lambda")
def test_td_lambda_parity(case):
    targets = td_lambda_targets(
        case["in.rewards"],
        case["in.terminated"],
        case["in.mask"],
        case["in.target_qs"][:, 1:],
        case.meta["gamma"],
        case.meta["td_lambda"],
    )
    mask = case["in.mask"]
    assert_recorded(case, "out.targets", torch.where(mask != 0, targets, case["out.targets"]))
    assert float(mask.sum()) > mask.numel() / 2
