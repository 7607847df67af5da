"""Our world model gives the numbers that the reference gave: every recorded intermediate value and output."""

import torch

from plugins.ices.world import Normal, WorldModel, hide, mean_divergence_log2
from tests.plugins.parity import assert_recorded, over

SIZES = ("n_agents", "n_actions", "state_dim", "embedding_dim", "hidden_dim")


def recorded_model(case):
    """The case's world model; its recognition networks were not recorded and take no part."""
    sizes = {name: case.meta[name] for name in SIZES}
    model = WorldModel(**sizes, latent_dim=case.meta["z_dim"]).double()
    found = model.load_state_dict(case.state_dict(), strict=False)
    assert found.unexpected_keys == []
    assert {name.split(".")[0] for name in found.missing_keys} == {"recognition_global", "recognition_local"}
    return model


@over("ices")
def test_ices_parity(case):
    model = recorded_model(case)
    state, actions = case["in.states"], case["in.actions"].long()
    n_rows, n_agents = actions.shape
    rows, agents = torch.arange(n_rows).repeat_interleave(n_agents), torch.arange(n_agents).repeat(n_rows)
    masked = hide(actions[rows], agents)
    assert torch.equal(masked.view(n_rows, n_agents, n_agents), case["mid.masked_actions"].long())
    assert_recorded(case, "mid.baseline_global", model.baseline("global", state, actions))
    assert_recorded(case, "mid.baseline_local", model.baseline("local", state[rows], masked))
    seen, hidden = model.prior("global", state, actions), model.prior("local", state[rows], masked)
    assert_recorded(case, "mid.prior_global_mu", seen.mean)
    assert_recorded(case, "mid.prior_global_sigma", seen.sigma)
    assert_recorded(case, "mid.prior_local_mu", hidden.mean)
    assert_recorded(case, "mid.prior_local_sigma", hidden.sigma)
    apart = mean_divergence_log2(Normal(seen.mean[rows], seen.sigma[rows]), hidden)
    assert_recorded(case, "out.divergence", apart)
    assert_recorded(case, "out.intrinsic_reward", model.intrinsic_reward(state, actions, rows, agents))
    decoded = model.decode(seen.mean)
    assert_recorded(case, "out.decoder_mu", decoded.mean)
    assert_recorded(case, "out.decoder_sigma", decoded.sigma)
