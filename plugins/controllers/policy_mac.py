"""The controller of the actor-critics: policies whose memory lives through own decisions only.

The hidden state of an agent is replaced where it decides, h <- D h' + (1 - D) h, and the last action it
sees is the one it decided on before (never `continue`). With `padded` it steps at every step, as AsyncMAC.

Letters: B episodes, T1 stored steps (the last observation included), N agents, A actions, O obs features,
I input features, H hidden size; b episodes acting now.
"""

from typing import Any, Sequence

import numpy as np
import torch
from torch import Tensor

from plugins.agents import POLICIES
from plugins.agents.initialisation import orthogonal
from plugins.agents.rnn import RnnAgent
from plugins.agents.squeeze import Squeeze, unroll_rows
from plugins.controllers.action_selectors import SoftPolicies
from plugins.controllers.async_mac import NO_ACTION, AsyncMAC
from plugins.vsp.indices import CONTINUE, NOOP

__all__ = ["PolicyMAC", "last_decided"]


class PolicyMAC(AsyncMAC):
    """AsyncMAC's interface around policies; `unroll_inputs` and `unroll_at` stand in for its `unroll`.

    Attributes:
        padded: networks step at every step, not at own decisions only.
    """

    WHERE = "policy_mac"
    NETWORKS = POLICIES
    SELECTORS = ("soft_policies", "epsilon_soft")
    OUTPUTS = ("pi_logits",)
    action_selector: SoftPolicies

    def __init__(self, scheme: Any, groups: Any, args: Any):
        self.padded: bool = args.padded
        self._last_decided = torch.zeros(0, dtype=torch.int64)  # [B, N], see init_hidden
        super().__init__(scheme, groups, args)
        if args.orthogonal_init:
            orthogonal(self.agent, self.agent.output_layers)

    def _make_selector(self, args: Any) -> SoftPolicies:
        mixes = args.action_selector == "epsilon_soft"
        return SoftPolicies(
            start=args.epsilon_start if mixes else 0.0,
            finish=args.epsilon_finish if mixes else 0.0,
            anneal_time=args.epsilon_anneal_time if mixes else 1,
            greedy_tests=args.test_greedy,
            mask_unavailable=args.mask_unavailable,
            seed=args.seed,
        )

    # acting

    def init_hidden(self, batch_size: int, seeds: Sequence[int] | None = None) -> None:
        """Zero hidden states for `batch_size` episodes that begin; nobody has decided yet. See AsyncMAC."""
        super().init_hidden(batch_size, seeds)
        self._last_decided = torch.full(
            (batch_size, self.n_agents), NO_ACTION, dtype=torch.int64, device=self.hidden_states.device
        )

    def select_actions(
        self, ep_batch: Any, t_ep: int, t_env: int, bs: Any = slice(None), test_mode: bool = False
    ) -> Tensor:
        """Actions at stored step `t_ep`, as EPyMARL's runners ask for them: [len(bs), N] int64."""
        obs, avail = ep_batch["obs"][:, t_ep], ep_batch["avail_actions"][:, t_ep]
        rows = torch.arange(obs.shape[0], device=obs.device)[bs]
        before = ep_batch["actions"][:, t_ep - 1, :, 0][bs] if t_ep else None
        actions = self._choose(obs[bs], avail[bs], before, rows, t_env, test_mode)
        return torch.as_tensor(actions, device=obs.device)

    def act(
        self, obs: np.ndarray, avail: np.ndarray, last_actions: np.ndarray, rows: np.ndarray, t_env: int,
        test_mode: bool,
    ) -> np.ndarray:  # fmt: skip
        """Actions of the episodes `rows`; arguments and result as AsyncMAC.act's."""
        seen, may, before, which = (
            torch.from_numpy(np.ascontiguousarray(each)) for each in (obs, avail, last_actions, rows)
        )
        return self._choose(seen, may, before, which, t_env, test_mode)

    def _choose(
        self, obs: Tensor, avail: Tensor, before: Tensor | None, rows: Tensor, t_env: int, test_mode: bool
    ) -> np.ndarray:
        """Step the networks of the agents of `rows` that decide, and choose: [b, N] int64.

        Args:
            obs: [b, N, O].
            avail: [b, N, A].
            before: [b, N] int64, the actions of the step before; None before the first.
            rows: [b] int64, the episodes' places in `hidden_states`.
        """
        device = self.hidden_states.device
        places = rows.cpu().numpy()
        rows, avail = rows.to(device), avail.to(device)
        deciding = self._deciding(avail)
        last = self._last_decided[rows]
        if self.padded:
            last = torch.full_like(last, NO_ACTION) if before is None else before.to(device)
        with torch.no_grad():
            inputs = self._inputs(obs.to(device, self.hidden_states.dtype), last)
            hidden = self.hidden_states[rows]
            logits, stepped = self.agent(inputs, hidden)
            self.hidden_states[rows] = torch.where(deciding.unsqueeze(2), stepped.view(hidden.shape), hidden)
        logits_now = logits.view(*deciding.shape, -1).cpu().numpy()
        actions = self.action_selector.select(logits_now, avail.cpu().numpy(), t_env, test_mode, places)
        self._last_decided[rows] = torch.where(deciding, torch.as_tensor(actions, device=device), last)
        return actions

    def _deciding(self, avail: Tensor) -> Tensor:
        """[..., N] bool from avail [..., N, A]."""
        if self.padded:
            return torch.ones(avail.shape[:-1], dtype=torch.bool, device=avail.device)
        return (avail[..., NOOP] == 0) & (avail[..., CONTINUE] == 0)

    # learning

    def unroll(self, batch: Any, return_hidden: bool = False) -> Any:
        """There are no utilities to unroll.

        Raises:
            TypeError: always.
        """
        raise TypeError("policy_mac: it has policies, not utilities. Use mac=async_mac with this learner.")

    def unroll_inputs(self, batch: Any, deciding: Tensor, squeeze: Squeeze) -> Tensor:
        """What the agents' networks are handed at the steps where they look.

        Args:
            batch: `obs` [B, T1, N, O], `actions` [B, T1, N, 1].
            deciding: [B, T1, N] bool; an agent's last action is that of its last such step.
            squeeze: of the steps where agents look.

        Returns:
            [B, K, N, I], squeezed.
        """
        dtype = self.hidden_states.dtype
        parts = [batch["obs"].to(dtype)]
        if self._uses_last_action:
            last = last_decided(batch["actions"][..., 0], deciding)
            parts.append(one_hot(last, self.n_actions, dtype))
        if self._uses_agent_id:
            identity = torch.eye(self.n_agents, dtype=dtype, device=batch["obs"].device)
            parts.append(identity.expand(*batch["obs"].shape[:2], -1, -1))
        return squeeze.take(torch.cat(parts, 3))

    def unroll_at(self, inputs: Tensor, squeeze: Squeeze) -> Tensor:
        """Logits [B, T1, N, A] where agents look, 0 elsewhere, from a zero hidden state.

        Args:
            inputs: from `unroll_inputs`.
            squeeze: the same.
        """
        if isinstance(self.agent, RnnAgent):
            return squeeze.put(unroll_rows(self.agent, inputs, squeeze.lengths))
        return squeeze.put(self.agent.unroll_rows(inputs, squeeze.lengths))


def last_decided(actions: Tensor, deciding: Tensor) -> Tensor:
    """The action of each agent's latest decision before each step; -1 before its first.

    Args:
        actions: [B, T1, N] int64.
        deciding: [B, T1, N] bool.

    Returns:
        [B, T1, N] int64.
    """
    steps = torch.arange(actions.shape[1], device=actions.device).view(1, -1, 1)
    at = torch.where(deciding, steps, -1).cummax(1).values
    at = torch.cat([torch.full_like(at[:, :1], -1), at[:, :-1]], 1)
    return torch.where(at < 0, NO_ACTION, actions.gather(1, at.clamp(min=0)))


def one_hot(actions: Tensor, n_actions: int, dtype: torch.dtype) -> Tensor:
    """[...] int64 -> [..., A]; a row of zeros for -1."""
    known = (actions >= 0).unsqueeze(-1)
    zeros = torch.zeros(*actions.shape, n_actions, dtype=dtype, device=actions.device)
    return zeros.scatter_(-1, actions.clamp(min=0).unsqueeze(-1), known.to(dtype))
