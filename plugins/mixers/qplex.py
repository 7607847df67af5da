"""QPLEX and QPLEX(A): the team's value as a sum, its advantages re-weighted by state and joint action.

    u' = w(s) u + b(s),  m' = w(s) m + b(s),  m_i = max over agent i's available actions
    q_tot = sum_i u'_i + sum_i (lambda_i(s, a) - 1) sg(u'_i - m'_i),   w > 0, lambda >= 0, sg: no gradient

Since u' <= m' and lambda >= 0, q_tot is largest where every agent is greedy. An agent with one available
action has u = m: no advantage, whatever lambda is. In QPLEX(A) that holds for every proxy, which therefore
joins the first sum only.

Source: Wang et al., QPLEX, arXiv:2008.01062; sizes and parameter names as in wjh720/QPLEX 6c0a7ba, so that
its checkpoints load.
"""

import torch
from torch import Tensor, nn

from plugins.mixers.base import Extras, Mixer, mlp, slot_utilities

TINY = 1e-10  # keeps w and a kernel's key above 0, as the reference does


class QplexMixer(Mixer):
    """Letters: R rows, N agents, M slots, A actions, K kernels.

    Parameters: `hyper_w_final` and `V` S->hypernet_embed->M, `si_weight` (see there). The options are the
    keys of plugins/config/algs/qplex.yaml without their prefix and are explained there.
    """

    def __init__(
        self,
        n_agents: int,
        state_dim: int,
        n_actions: int,
        hypernet_embed: int,
        kernels: int,
        kernel_layers: int,
        kernel_embed: int,
        minus_one: bool,
        weighted_head: bool,
        proxies: bool,
    ) -> None:
        super().__init__("qplex_a" if proxies else "qplex", n_agents, state_dim)
        self.proxies = proxies
        self.minus_one = minus_one
        self.needs = frozenset({"actions_onehot", "q_greedy"})
        if proxies:
            self.needs |= {"q_proxy", "executing"}
        n_slots = n_agents * (2 if proxies else 1)
        if weighted_head:
            self.hyper_w_final = mlp(state_dim, hypernet_embed, n_slots)
            self.V = mlp(state_dim, hypernet_embed, n_slots)
        self.weighted_head = weighted_head
        sizes = (n_agents, state_dim, n_actions)
        self.si_weight = AdvantageWeights(*sizes, kernels, kernel_layers, kernel_embed)

    def mix(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor:
        return self.value(q_taken, state, extras) + self.advantage(q_taken, state, extras)

    def mix_openly(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor:
        return self.value(q_taken, state, extras) + self.advantage(q_taken, state, extras, openly=True)

    def own_credits(self, q_taken: Tensor, state: Tensor, extras: Extras) -> dict[str, Tensor]:
        assert extras.actions_onehot is not None
        slots = slot_utilities(q_taken, extras, self.proxies)
        weight = self.transformation(state)[0].expand_as(slots)
        if self.proxies:
            assert extras.executing is not None
            absent = torch.cat([torch.zeros_like(extras.executing), ~extras.executing], dim=1)
            weight = weight.masked_fill(absent, 0.0)
        return {"lambda": self.si_weight(state, extras.actions_onehot), "weight": weight}

    def value(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor:
        """V_tot [R, 1]: all that the agents learn through."""
        w, b = self.transformation(state)
        terms = w * slot_utilities(q_taken, extras, self.proxies) + b
        if self.proxies:  # a masked proxy has no constant either
            assert extras.executing is not None
            present = torch.cat([torch.ones_like(extras.executing), extras.executing], dim=1)
            terms = terms.masked_fill(~present, 0.0)
        return terms.sum(dim=1, keepdim=True)

    def advantage(self, q_taken: Tensor, state: Tensor, extras: Extras, openly: bool = False) -> Tensor:
        """A_tot [R, 1]: all that lambda learns through; no gradient to the utilities, w or b unless `openly`."""
        assert extras.actions_onehot is not None and extras.q_greedy is not None
        with torch.set_grad_enabled(openly):
            w, _ = self.transformation(state)
            advantages = w[:, : self.n_agents] * (q_taken - extras.q_greedy)
        weights = self.si_weight(state, extras.actions_onehot)
        if self.minus_one:
            weights = weights - 1.0
        return (weights * advantages).sum(dim=1, keepdim=True)

    def transformation(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """w and b of every slot, [R, M] each or broadcast to it; 1 and 0 without weighted heads."""
        if not self.weighted_head:
            return torch.ones_like(state[:, :1]), torch.zeros_like(state[:, :1])
        return self.hyper_w_final(state).abs() + TINY, self.V(state)

    def statistics(self, q_taken: Tensor, state: Tensor, extras: Extras) -> dict[str, float]:
        assert extras.actions_onehot is not None and extras.q_greedy is not None
        with torch.no_grad():
            return {
                "lambda_mean": float(self.si_weight(state, extras.actions_onehot).mean()),
                "advantage_mean": float(self.advantage(q_taken, state, extras).mean()),
                "greedy_share": float((q_taken == extras.q_greedy).float().mean()),
            }


class AdvantageWeights(nn.Module):
    """lambda_i = sum_k (|key_k(s)| + tiny) sigmoid(agents_k(s))_i sigmoid(action_k(s ++ a))_i.

    Parameters: lists of K networks of `layers` Linear layers (ReLU between, `embed` wide): `key_extractors`
    S->1, `agents_extractors` S->N, `action_extractors` S+N*A->N.
    """

    def __init__(self, n_agents: int, state_dim: int, n_actions: int, kernels: int, layers: int, embed: int):
        super().__init__()

        def networks(n_inputs: int, n_outputs: int) -> nn.ModuleList:
            return nn.ModuleList(_network(n_inputs, embed, n_outputs, layers) for _ in range(kernels))

        self.key_extractors = networks(state_dim, 1)
        self.agents_extractors = networks(state_dim, n_agents)
        self.action_extractors = networks(state_dim + n_agents * n_actions, n_agents)

    def forward(self, state: Tensor, actions_onehot: Tensor) -> Tensor:
        """[R, S], [R, N, A] -> [R, N], not negative."""
        joint = torch.cat([state, actions_onehot.flatten(1)], dim=1)
        total = torch.zeros_like(state[:, :1])
        for key, agents, action in zip(self.key_extractors, self.agents_extractors, self.action_extractors):
            weight = (key(state).abs() + TINY) * agents(state).sigmoid() * action(joint).sigmoid()
            total = total + weight
        return total


def _network(n_inputs: int, width: int, n_outputs: int, layers: int) -> nn.Module:
    """`layers` Linear layers with ReLU between; a single one is no Sequential, as in the reference."""
    if layers == 1:
        return nn.Linear(n_inputs, n_outputs)
    widths = [n_inputs, *[width] * (layers - 1)]
    hidden = [(nn.Linear(one, following), nn.ReLU()) for one, following in zip(widths, widths[1:])]
    return nn.Sequential(*[part for pair in hidden for part in pair], nn.Linear(width, n_outputs))
