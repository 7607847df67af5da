"""Qatten and Qatten(A): several attention heads over the slots, weighted by the state.

    lambda_h = softmax_i(query_h(s) . key_h(own_i) / sqrt(D));  q_tot = sum_h w_h(s) sum_i lambda_hi q_i +
    c(s)

Source: Yang et al., Qatten, arXiv:2002.03939v2; sizes and parameter names as in pymarl2 (its spelling
included), so that its checkpoints load.
"""

import math
from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plugins.mixers.base import Extras, Mixer, mlp, slot_utilities

KEY_SOURCES = ("obs", "state_slice")


class QattenMixer(Mixer):
    """Sizes: H heads, D key width, U = own features of an agent.

    `key_source` obs: own_i is the agent's observation (U = obs_dim), and of a proxy the observation of its
    decision step, each with one more feature that says "proxy" (or both slots of an agent would look
    alike). state_slice: own_i is entries [i*U, (i+1)*U) of the state, U = own_state_size; refused with
    proxies.
    """

    def __init__(
        self,
        n_agents: int,
        state_dim: int,
        obs_dim: int,
        heads: int,
        query_embed: int,
        key_embed: int,
        head_embed: int,
        constant_embed: int,
        weighted_heads: bool,
        key_source: str,
        own_state_size: int | None,
        proxies: bool,
        masked_proxies: str,
    ) -> None:
        super().__init__("qatten_a" if proxies else "qatten", n_agents, state_dim)
        self.proxies = proxies
        self.zeroes_masked = masked_proxies == "zeroed"
        self.key_embed = key_embed
        self.weighted_heads = weighted_heads
        self.own_state_size = self._own_size(key_source, own_state_size)
        self.needs = self._needed()
        n_own = self.own_state_size or obs_dim + (1 if proxies else 0)
        # spelt as in pymarl2
        self.query_embedding_layers = nn.ModuleList(
            mlp(state_dim, query_embed, key_embed) for _ in range(heads)
        )
        self.key_embedding_layers = nn.ModuleList(nn.Linear(n_own, key_embed) for _ in range(heads))
        if weighted_heads:
            self.head_embedding_layer = mlp(state_dim, head_embed, heads)
        self.constrant_value_layer = mlp(state_dim, constant_embed, 1)

    def mix(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor:
        q = slot_utilities(q_taken, extras, self.proxies)
        attention = self.attention(state, extras)
        heads = (attention * q.unsqueeze(1)).sum(dim=2)
        if self.weighted_heads:
            heads = heads * self.head_embedding_layer(state).abs()
        return heads.sum(dim=1, keepdim=True) + self.constrant_value_layer(state)

    def own_credits(self, q_taken: Tensor, state: Tensor, extras: Extras) -> dict[str, Tensor]:
        attention = self.attention(state, extras)
        weight = self.head_embedding_layer(state).abs() if self.weighted_heads else attention.new_ones(
            attention.shape[:2]
        )
        return {"attention": attention, "head_weight": weight}

    def own_labels(self, slots: Sequence[str]) -> dict[str, list[str]]:
        return {"head_weight": [f"head {h}" for h in range(len(self.query_embedding_layers))]}

    def attention(self, state: Tensor, extras: Extras) -> Tensor:
        """lambda [R, H, M]; 0 in masked proxies: their logit is -inf, or they would absorb attention.

        With masked_proxies zeroed they do absorb it, and only their utility is 0.
        """
        own = self._own_features(state, extras)
        queries = torch.stack([layer(state) for layer in self.query_embedding_layers], dim=1)
        # the keys of all heads in one product
        weight = torch.cat([layer.get_parameter("weight") for layer in self.key_embedding_layers])
        bias = torch.cat([layer.get_parameter("bias") for layer in self.key_embedding_layers])
        keys = F.linear(own, weight, bias).unflatten(2, (-1, self.key_embed))
        logits = (queries.unsqueeze(1) * keys).sum(dim=3).transpose(1, 2) / math.sqrt(self.key_embed)
        if self.proxies and not self.zeroes_masked:
            assert extras.executing is not None
            real = torch.zeros_like(extras.executing)
            masked = torch.cat([real, ~extras.executing], dim=1)
            logits = logits.masked_fill(masked.unsqueeze(1), -math.inf)
        return logits.softmax(dim=2)

    def _own_features(self, state: Tensor, extras: Extras) -> Tensor:
        """[R, M, U], without gradient."""
        if self.own_state_size is not None:
            own = state[:, : self.n_agents * self.own_state_size]
            return own.reshape(-1, self.n_agents, self.own_state_size).detach()
        assert extras.obs is not None
        if not self.proxies:
            return extras.obs.detach()
        assert extras.obs_decision is not None
        flag = torch.zeros_like(extras.obs[..., :1])
        real = torch.cat([extras.obs, flag], dim=2)
        proxy = torch.cat([extras.obs_decision, flag + 1], dim=2)
        return torch.cat([real, proxy], dim=1).detach()

    def _needed(self) -> frozenset[str]:
        own = {"obs"} if self.own_state_size is None else set()
        return frozenset(own | ({"q_proxy", "executing", "obs_decision"} if self.proxies else set()))

    def _own_size(self, key_source: str, own_state_size: int | None) -> int | None:
        if key_source == "obs":
            return None
        if self.proxies:
            raise ValueError(
                f"{self.name}: qatten_key_source='state_slice' has no slice of the decision step for "
                "a proxy, "
                "expected 'obs'. Set qatten_key_source=obs."
            )
        most = self.state_dim // self.n_agents
        if own_state_size is None or not 1 <= own_state_size <= most:
            raise ValueError(
                f"{self.name}: qatten_own_state_size={own_state_size!r} is not accepted with "
                f"qatten_key_source='state_slice', expected 1 to {most} (state_dim {self.state_dim} / "
                f"n_agents {self.n_agents}). Set the number of state entries that one agent owns."
            )
        return own_state_size
