"""The world model of ICES and the intrinsic reward that is read from it.

A conditional variational auto-encoder of the state's change delta = s(t+1) - s(t), given the state and the
actions. It exists twice, with one decoder: `global` sees all actions, `local` all but one agent's. How much
the two disagree about what will happen is how much that agent's action matters.

Letters: R rows (steps of any episodes), N agents, A actions, S state features, Z latent features, M pairs of
a row and an agent.

Source: Li, Zhang, Tang, Zhang, Individual Contributions as Intrinsic Exploration Scaffolds for Multi-agent
Reinforcement Learning, ICML 2024 (arXiv:2405.18110); sizes, floors and parameter names as in LXXXXR/ICES 2fcc473.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

HIDDEN = -1  # the action of an agent that is not to be seen
SIGMA_FLOOR = 0.01  # of every normal distribution here
VIEWS = ("global", "local")  # who sees all actions, and who all but one agent's


class Normal(NamedTuple):
    """Independent normal distributions, one an entry."""

    mean: Tensor
    sigma: Tensor


class Conditional(nn.Module):
    """[inputs, embedded actions] -> three Linear layers with ReLU between them.

    An action is looked up in a table with A + 1 rows, row a + 1; row 0, for a hidden action, stays zero.
    """

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        *,
        n_agents: int,
        n_actions: int,
        embedding_dim: int,
        hidden_dim: int,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_actions + 1, embedding_dim, padding_idx=0)
        self.mlp = deep(n_inputs + n_agents * embedding_dim, hidden_dim, n_outputs)

    def forward(self, actions: Tensor, *inputs: Tensor) -> Tensor:
        """actions [R, N] int64, inputs [R, ...] -> [R, outputs].

        The reference's order of inputs: state, actions, the rest.
        """
        embedded = self.embedding(actions + 1).flatten(1)
        result: Tensor = self.mlp(torch.cat([inputs[0], embedded, *inputs[1:]], dim=1))
        return result


class WorldModel(nn.Module):
    """The networks of both views.

    Parameters: for both VIEWS `baseline_*` [s, a] -> S, `prior_*` [s, a, baseline] -> 2 Z and `recognition_*`
    [s, a, delta] -> 2 Z; `decoder` Z -> 2 S.
    """

    def __init__(
        self,
        *,
        n_agents: int,
        n_actions: int,
        state_dim: int,
        embedding_dim: int,
        hidden_dim: int,
        latent_dim: int,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim

        def network(n_inputs: int, n_outputs: int) -> Conditional:
            return Conditional(
                n_inputs,
                n_outputs,
                n_agents=n_agents,
                n_actions=n_actions,
                embedding_dim=embedding_dim,
                hidden_dim=hidden_dim,
            )

        for view in VIEWS:
            self.add_module(f"baseline_{view}", network(state_dim, state_dim))
            self.add_module(f"prior_{view}", network(2 * state_dim, 2 * latent_dim))
            self.add_module(f"recognition_{view}", network(2 * state_dim, 2 * latent_dim))
        self.decoder = nn.ModuleDict({"mlp": deep(latent_dim, hidden_dim, 2 * state_dim)})

    def baseline(self, view: str, state: Tensor, actions: Tensor) -> Tensor:
        """A first guess of the state's change, [R, S] in (-1, 1)."""
        return torch.tanh(self._net("baseline", view)(actions, state))

    def prior(self, view: str, state: Tensor, actions: Tensor) -> Normal:
        """What the latent is believed to be before the change is seen, [R, Z]; no gradient to the baseline."""
        with torch.no_grad():
            guess = self.baseline(view, state, actions)
        return normal(self._net("prior", view)(actions, state, guess))

    def recognition(self, view: str, state: Tensor, actions: Tensor, delta: Tensor) -> Normal:
        """What it is believed to be after the change was seen, [R, Z]."""
        return normal(self._net("recognition", view)(actions, state, delta))

    def decode(self, latent: Tensor) -> Normal:
        """The change that a latent [R, Z] stands for, [R, S]."""
        parameters = normal(self.decoder["mlp"](latent))
        return Normal(torch.tanh(parameters.mean), parameters.sigma)

    def elbo(self, view: str, state: Tensor, actions: Tensor, delta: Tensor, noise: Tensor) -> Tensor:
        """E_q log N(delta; decoder) - KL(q || prior), by one reparametrised sample; [R].

        Args:
            view: of VIEWS.
            state, delta: [R, S].
            actions: [R, N] int64; HIDDEN where they are not to be seen.
            noise: [R, Z]; standard normal.
        """
        posterior = self.recognition(view, state, actions, delta)
        reconstruction = self.decode(posterior.mean + posterior.sigma * noise)
        prior = self.prior(view, state, actions)
        return log_density(delta, reconstruction).sum(1) - divergence(posterior, prior).sum(1)

    @torch.no_grad()
    def intrinsic_reward(self, state: Tensor, actions: Tensor, rows: Tensor, agents: Tensor) -> Tensor:
        """How much single agents' actions matter: 1 - exp(-KL(prior with its action || prior without)).

        The Kullback-Leibler divergence has binary logarithms in its two log terms, and is averaged over the
        latent's features: both as in the reference.

        Args:
            state: [R, S].
            actions: [R, N] int64.
            rows, agents: [M] int64; the pairs that are asked for.

        Returns:
            [M], from -0.044 (see `mean_divergence_log2`) to 1, without gradient.
        """
        seen = self.prior("global", state, actions)
        hidden = self.prior("local", state[rows], hide(actions[rows], agents))
        return 1.0 - torch.exp(-mean_divergence_log2(Normal(seen.mean[rows], seen.sigma[rows]), hidden))

    def trained_by(self, view: str, kind: str) -> list[nn.Parameter]:
        """The parameters that one optimiser moves: `kind` is "baseline" or "elbo"; views share the decoder."""
        if kind == "baseline":
            return list(self._net("baseline", view).parameters())
        networks = (self._net("prior", view), self._net("recognition", view), self.decoder)
        return [parameter for network in networks for parameter in network.parameters()]

    def _net(self, kind: str, view: str) -> nn.Module:
        return self.get_submodule(f"{kind}_{view}")


def deep(n_inputs: int, n_hidden: int, n_outputs: int) -> nn.Sequential:
    """Linear, ReLU, Linear, ReLU, Linear."""
    return nn.Sequential(
        nn.Linear(n_inputs, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_hidden), nn.ReLU(),
        nn.Linear(n_hidden, n_outputs),
    )  # fmt: skip


def hide(actions: Tensor, agents: Tensor) -> Tensor:
    """actions [R, N] with that of agent `agents` [R] hidden."""
    return actions.scatter(1, agents.unsqueeze(1), HIDDEN)


def normal(parameters: Tensor) -> Normal:
    """[..., 2 Z], means then logarithms of sigmas -> Normal of [..., Z] each, sigma at least SIGMA_FLOOR."""
    mean, log_sigma = parameters.chunk(2, dim=-1)
    return Normal(mean, log_sigma.exp().clamp(min=SIGMA_FLOOR))


def log_density(values: Tensor, of: Normal) -> Tensor:
    """log N(values; of), entry by entry."""
    constant = 0.5 * torch.log(torch.tensor(2 * torch.pi, dtype=values.dtype, device=values.device))
    return -0.5 * ((values - of.mean) / of.sigma).square() - of.sigma.log() - constant


def divergence(p: Normal, q: Normal) -> Tensor:
    """KL(p || q) in nats, entry by entry."""
    return q.sigma.log() - p.sigma.log() + _quadratic(p, q) - 0.5


def mean_divergence_log2(p: Normal, q: Normal) -> Tensor:
    """The reference's KL(p || q), [..., Z] -> [...]: binary logarithms, mean over the last dimension.

    log2 weighs the two log terms by 1 / ln 2 against the quadratic ones, so that it can be below 0, down to -0.0430.
    """
    return (q.sigma.log2() - p.sigma.log2() + _quadratic(p, q) - 0.5).mean(-1)


def _quadratic(p: Normal, q: Normal) -> Tensor:
    return (p.sigma.square() + (p.mean - q.mean).square()) / (2 * q.sigma.square())
