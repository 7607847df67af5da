"""MVD: multiplicative value decomposition under the Virtual Synchrony Proxy.

Every head is a core (plugins.mixers.interaction): a sum over real agents and proxies plus products of each
deciding agent with sets of proxies, whose weights are functions of the state; plugins.mixers.mvd_heads
joins the heads.

Source: Liang, Wu, Wang, Cai, arXiv:2408.03692v2 (IJCAI-25), equations 5 to 8 and section 5.3; how ours
reads them is said where each is computed. Hypernetwork sizes are not in the paper.
"""

from math import comb
from typing import Sequence

import torch
from torch import Tensor, nn

from plugins.mixers.base import Extras, Mixer, mlp
from plugins.mixers.explanation import slopes
from plugins.mixers.interaction import (
    agent_sets,
    count_active_sets,
    low_rank_interaction,
    set_interaction,
    set_products,
    shifted_proxies,
)
from plugins.mixers.minimum import MinimumTracker
from plugins.mixers.mvd_heads import Boltzmann, build_heads

REAL, PROXY = 0, -1  # rows of the first-order weights


class MVDMixer(Mixer):
    """Letters: R rows, H heads, N agents, K order, C_m sets of m agents.

    Parameters: `first` S->Hy->H*roles*N, `interactions.{m-1}` S->Hy->H*N*C_m for m = 1..K-1 (with low_rank
    r: H*2*N*r), `bias` S->value_embed->H, `heads.*`. Buffer: `minimum.value`, the constant C.

    The options are the keys of plugins/config/algs/mvd.yaml without their prefix and are explained there.
    """

    needs = frozenset({"q_proxy", "deciding", "executing"})

    def __init__(
        self,
        n_agents: int,
        state_dim: int,
        obs_dim: int,
        order: int,
        form: str,
        heads: int,
        width: int,
        activation: str,
        hypernet_embed: int,
        value_embed: int,
        c_tracker: str,
        c_decay: float,
        pair_scale: float,
        proxy_first_order: bool,
        inactive_first_order: bool,
        roles: int,
        free_executing: bool,
        detach_proxy: bool,
        interaction_mean: bool,
        low_rank: int | None,
        hat_state: bool,
        monotone: bool,
    ) -> None:
        super().__init__("mvd" if monotone else "boltzmann_heads", n_agents, state_dim)
        if not 1 <= order <= n_agents:
            raise ValueError(
                f"{self.name}: mvd_order={order} is not accepted with {n_agents} agents, expected 1 "
                f"to {n_agents}. "
                "Lower mvd_order: it counts one deciding agent and up to mvd_order - 1 proxies."
            )
        self.n_heads = 1 if form == "d" and monotone else heads
        self.roles = roles
        self.pair_scale = pair_scale
        self.proxy_first_order = proxy_first_order
        self.inactive_first_order = inactive_first_order
        self.free_executing = free_executing
        self.detach_proxy = detach_proxy
        self.interaction_mean = interaction_mean
        self.low_rank = low_rank
        self.hat_state = hat_state
        if hat_state:
            self.needs = self.needs | {"obs_decision"}
        n_features = state_dim + (n_agents * obs_dim if hat_state else 0)

        self.minimum = MinimumTracker(c_tracker, n_agents, c_decay)
        self.first = mlp(n_features, hypernet_embed, self.n_heads * roles * n_agents)
        self.interactions = nn.ModuleList(
            mlp(n_features, hypernet_embed, self.n_heads * n_agents * self._columns(size))
            for size in range(1, order)
        )
        self.bias = mlp(n_features, value_embed, self.n_heads)
        self.heads = (
            build_heads(form, n_features, self.n_heads, width, hypernet_embed, value_embed, activation)
            if monotone
            else Boltzmann()
        )
        for size in range(1, order):
            self.register_buffer(f"sets_{size}", agent_sets(n_agents, size), persistent=False)

    def mix(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor:
        features = self._features(state, extras)
        return self.heads(self.core(q_taken, features, extras), features)

    def mix_openly(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor:
        features = self._features(state, extras)
        return self.heads(self.core(q_taken, features, extras, openly=True), features)

    def core(self, q_taken: Tensor, features: Tensor, extras: Extras, openly: bool = False) -> Tensor:
        """Head values x [R, H].

        Args:
            q_taken: [R, N].
            features: [R, F]; the state, or with hat_state more.
            extras: q_proxy, deciding, executing [R, N].
            openly: let gradients through where `detach_proxy` stops them.
        """
        q_proxy, deciding, executing = extras.q_proxy, extras.deciding, extras.executing
        assert q_proxy is not None and deciding is not None and executing is not None
        real, proxy = self._first_order(features, deciding, executing)
        if len(self.interactions) > 0:
            p = q_proxy.detach() if self.detach_proxy and not openly else q_proxy
            g = shifted_proxies(p, executing, self.minimum.value, self.pair_scale)
            interaction = self._interaction(features, g, executing)
            real = real + interaction * deciding.unsqueeze(1)
        x = self.bias(features) + (real * q_taken.unsqueeze(1)).sum(dim=2)
        if self.proxy_first_order:
            x = x + (proxy * q_proxy.masked_fill(~executing, 0.0).unsqueeze(1)).sum(dim=2)
        return x

    def observe_proxies(self, q_proxy: Tensor, q_proxy_target: Tensor, executing: Tensor) -> None:
        self.minimum.observe(q_proxy, q_proxy_target, executing)

    @torch.no_grad()
    def statistics(self, q_taken: Tensor, state: Tensor, extras: Extras) -> dict[str, float]:
        """C, the spread of proxy utilities and that spread over C, dead rows, executing agents (shares of 1).

        Where C is large against the spread, all factors are about C / 2 and the interaction is flat.
        """
        assert extras.q_proxy is not None and extras.executing is not None
        features = self._features(state, extras)
        seen = extras.q_proxy[extras.executing]
        spread = float(seen.std(unbiased=False)) if seen.numel() else 0.0
        c = float(self.minimum.value.mean())
        dead = self.heads.dead(self.core(q_taken, features, extras), features)
        return {
            "q_c_min": c,
            "q_proxy_std": spread,
            "q_proxy_std_over_c": spread / c if c > 0 else 0.0,
            "dead_share": float(dead.float().mean()),
            "executing_share": float(extras.executing.float().mean()),
        }

    def pair_weights(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor:
        """f_ij: what u_i (p_j + C) pair_scale counts in q_tot, sum_h dq_tot/dx_h |c^h_ij|; see `Mixer`."""
        assert extras.deciding is not None and extras.executing is not None
        features = self._features(state, extras)
        _, joined = self._head_slopes(q_taken, features, extras)
        with torch.no_grad():
            pairs = self._pair_weights(features, extras.deciding, extras.executing)
            f = (joined[:, :, None, None] * pairs).sum(dim=1)
            nothing = torch.zeros_like(f)
            return torch.cat([torch.cat([nothing, f], 2), torch.cat([f.transpose(1, 2), nothing], 2)], 1)

    def own_credits(self, q_taken: Tensor, state: Tensor, extras: Extras) -> dict[str, Tensor]:
        assert extras.deciding is not None and extras.executing is not None
        features = self._features(state, extras)
        x, joined = self._head_slopes(q_taken, features, extras)
        real, proxy = self._first_order(features, extras.deciding, extras.executing)
        proxy = proxy * (extras.executing & self.proxy_first_order).unsqueeze(1)
        weights = (joined.unsqueeze(2) * torch.cat([real, proxy], dim=2)).sum(dim=1)
        c = self.minimum.value.expand(len(x), -1)
        return {"first_order": weights, "head_values": x, "head_slopes": joined, "q_c_min": c}

    def own_labels(self, slots: Sequence[str]) -> dict[str, list[str]]:
        heads = [f"head {h}" for h in range(self.n_heads)]
        c = [slots[self.n_agents + i] for i in range(self.n_agents)] if len(self.minimum.value) > 1 else ["C"]
        return {"head_values": heads, "head_slopes": heads, "q_c_min": c}

    def _head_slopes(self, q_taken: Tensor, features: Tensor, extras: Extras) -> tuple[Tensor, Tensor]:
        """Head values and what each is worth in q_tot, dq_tot/dx; both [R, H], without gradient."""
        with torch.enable_grad():
            x = self.core(q_taken, features, extras).detach().requires_grad_()
            return x.detach(), slopes(self.heads(x, features), [x]).detach()

    def _first_order(self, features: Tensor, deciding: Tensor, executing: Tensor) -> tuple[Tensor, Tensor]:
        """Weights of the real slots by what each agent is doing, and of the proxy slots; both [R, H, N]."""
        signed = self.first(features).view(-1, self.n_heads, self.roles, self.n_agents)
        positive = signed.abs()
        real, proxy = positive[:, :, REAL], positive[:, :, PROXY]
        if self.roles == 3 or self.free_executing:
            row = 1 if self.roles == 3 else REAL
            other = positive[:, :, row]
            if self.free_executing:
                other = torch.where(executing.unsqueeze(1), signed[:, :, row], other)
                proxy = signed[:, :, PROXY]
            real = torch.where(deciding.unsqueeze(1), real, other)
        if not self.inactive_first_order:
            real = real * (deciding | executing).unsqueeze(1)
        return real, proxy

    def _interaction(self, features: Tensor, g: Tensor, executing: Tensor) -> Tensor:
        """What deciding agents' weights gain from the proxies, [R, H, N], at least 0."""
        total = torch.zeros_like(g).unsqueeze(1)
        for size in range(1, len(self.interactions) + 1):
            weights = self._set_weights(features, size)
            if self.low_rank is None:
                term = set_interaction(weights, set_products(g, self.get_buffer(f"sets_{size}")))
            else:
                alpha, beta = weights.split(self.low_rank, dim=3)
                term = low_rank_interaction(alpha, beta, g, size)
            if self.interaction_mean:
                term = term / count_active_sets(executing, size).unsqueeze(1)
            total = total + term
        return total

    def _set_weights(self, features: Tensor, size: int) -> Tensor:
        """|c| of sets of `size` proxies [R, H, N, C_m], or the two factors of a low rank side by side."""
        net = self.interactions[size - 1]
        weights = net(features).abs().view(-1, self.n_heads, self.n_agents, self._columns(size))
        return weights

    def _pair_weights(self, features: Tensor, deciding: Tensor, executing: Tensor) -> Tensor:
        """|c_ij| [R, H, N, N] of every head; 0 unless i decides and j executes."""
        if len(self.interactions) == 0:
            return features.new_zeros(len(features), self.n_heads, self.n_agents, self.n_agents)
        weights = self._set_weights(features, 1)
        if self.low_rank is not None:
            alpha, beta = weights.split(self.low_rank, dim=3)
            weights = alpha @ beta.transpose(2, 3)
        if self.interaction_mean:
            weights = weights / count_active_sets(executing, 1)[:, :, None, None]
        return weights * (deciding.unsqueeze(2) & executing.unsqueeze(1)).unsqueeze(1)

    def _columns(self, size: int) -> int:
        """Weights an agent has for its sets of `size` proxies."""
        return comb(self.n_agents, size) if self.low_rank is None else 2 * self.low_rank

    def _features(self, state: Tensor, extras: Extras) -> Tensor:
        """What the hypernetworks read: s, or s ++ what executing agents saw when deciding (zeros else)."""
        if not self.hat_state:
            return state
        assert extras.obs_decision is not None and extras.executing is not None
        seen = extras.obs_decision.masked_fill(~extras.executing.unsqueeze(2), 0.0)
        return torch.cat([state, seen.flatten(1)], dim=1)
