"""What can be solved exactly, in one place; letters and policies are explained in `model`."""

from async_envs.tabular.exact.bellman import (
    bellman_evaluation, bellman_optimality, evaluate, greedy, optimal, value_iteration,
)
from async_envs.tabular.exact.enumeration import (
    deterministic_policies, deterministic_policy, equilibria, lifted_equilibria, n_deterministic,
)
from async_envs.tabular.exact.model import (
    allowed_actions, lift, pair_probabilities, policy_of_pairs, random_policy,
)
from async_envs.tabular.exact.responses import (
    best_response, best_response_value, find_equilibrium, is_equilibrium, response_model,
)
from async_envs.tabular.exact.trajectories import Flow, marginals, trajectory_distribution

__all__ = [
    "Flow", "allowed_actions", "bellman_evaluation", "bellman_optimality", "best_response",
    "best_response_value", "deterministic_policies", "deterministic_policy", "equilibria", "evaluate",
    "find_equilibrium", "greedy", "is_equilibrium", "lift", "lifted_equilibria", "marginals",
    "n_deterministic", "optimal", "pair_probabilities", "policy_of_pairs", "random_policy", "response_model",
    "trajectory_distribution", "value_iteration",
]
