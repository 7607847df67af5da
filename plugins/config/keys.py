"""Names, types and bounds of the keys that hosts, learners and controllers read. The values live in the YAML files.

Each class lists the keys that one reader takes; those of mixers are in plugins.config.mixer_keys.
"""

from dataclasses import dataclass
from typing import Annotated

from plugins.config.reading import Bounds

__all__ = [
    "AcacKeys",
    "ActorCriticKeys",
    "BaseKeys",
    "EpsilonSoftKeys",
    "IcesActingKeys",
    "IcesKeys",
    "IppoKeys",
    "MacIaiccKeys",
    "NoKeys",
    "OptimiserKeys",
    "OurKeys",
    "RmspropKeys",
    "ValueLearnerKeys",
]


@dataclass(frozen=True)
class NoKeys:
    """A mixer without options."""


@dataclass(frozen=True)
class BaseKeys:
    """EPyMARL's keys, as its default.yaml and algorithm files name them; what we use of them."""

    common_reward: bool
    reward_scalarisation: Annotated[str, Bounds(choices=("sum", "mean"))]
    seed: Annotated[int | None, Bounds(low=0)]
    batch_size_run: Annotated[int, Bounds(low=1)]
    test_nepisode: Annotated[int, Bounds(low=1)]
    test_interval: Annotated[int, Bounds(low=1)]
    log_interval: Annotated[int, Bounds(low=1)]
    runner_log_interval: Annotated[int, Bounds(low=1)]
    learner_log_interval: Annotated[int, Bounds(low=1)]
    t_max: Annotated[int, Bounds(low=1)]
    test_greedy: bool
    use_cuda: bool
    buffer_cpu_only: bool
    use_tensorboard: bool
    use_wandb: bool
    save_model: bool
    save_model_interval: Annotated[int, Bounds(low=1)]
    load_step: Annotated[int, Bounds(low=0)]
    checkpoint_path: str
    evaluate: bool
    render: bool
    save_replay: bool
    local_results_path: str
    gamma: Annotated[float, Bounds(low=0, high=1)]
    batch_size: Annotated[int, Bounds(low=1)]
    buffer_size: Annotated[int, Bounds(low=1)]
    lr: Annotated[float, Bounds(above=0)]
    optim_alpha: Annotated[float, Bounds(low=0, high=1)]
    optim_eps: Annotated[float, Bounds(above=0)]
    grad_norm_clip: Annotated[float | None, Bounds(above=0)]
    add_value_last_step: bool
    hidden_dim: Annotated[int, Bounds(low=1)]
    obs_agent_id: bool
    obs_last_action: bool
    use_rnn: bool
    epsilon_start: Annotated[float, Bounds(low=0, high=1)]
    epsilon_finish: Annotated[float, Bounds(low=0, high=1)]
    epsilon_anneal_time: Annotated[int, Bounds(low=1)]
    evaluation_epsilon: Annotated[float, Bounds(low=0, high=1)]
    target_update_interval_or_tau: Annotated[float, Bounds(above=0)]
    standardise_returns: bool
    standardise_rewards: bool
    double_q: bool
    learner: str
    runner: str
    mac: str
    agent: str
    name: str


@dataclass(frozen=True)
class OurKeys:
    """Switches of ours, from plugins/config/envs/async.yaml."""

    updates_per_episode: Annotated[float, Bounds(above=0)]
    checkpoint_interval: Annotated[int, Bounds(low=0)]
    checkpoint_buffer: bool
    save_best_model: bool
    progress: bool
    paper: bool
    threads: Annotated[int, Bounds(low=1)]
    compact_buffer: bool


@dataclass(frozen=True)
class ValueLearnerKeys:
    """What plugins.learners.value_learner reads."""

    mixer: str
    common_reward: bool
    gamma: Annotated[float, Bounds(low=0, high=1)]
    target_update_interval_or_tau: Annotated[float, Bounds(above=0)]
    learner_log_interval: Annotated[int, Bounds(low=1)]
    double_q: bool
    td_lambda: Annotated[float | None, Bounds(low=0, high=1)]
    standardise_rewards: bool
    standardise_returns: bool


@dataclass(frozen=True)
class OptimiserKeys:
    """What plugins.learners.optimisers reads."""

    lr: Annotated[float, Bounds(above=0)]
    optimiser: Annotated[str, Bounds(choices=("adam", "rmsprop"))]
    mixer_optimiser: Annotated[str | None, Bounds(choices=("adam", "rmsprop"))]
    mixer_lr: Annotated[float | None, Bounds(above=0)]
    grad_norm_clip: Annotated[float, Bounds(above=0)]


@dataclass(frozen=True)
class RmspropKeys:
    """What it reads besides if either optimiser is rmsprop; EPyMARL's own names."""

    optim_alpha: Annotated[float, Bounds(low=0, high=1)]
    optim_eps: Annotated[float, Bounds(above=0)]


@dataclass(frozen=True)
class ActorCriticKeys:
    """What plugins.learners.actor_critic reads, and the controller of policies beside it."""

    common_reward: bool
    mac: Annotated[str, Bounds(choices=("policy_mac",))]
    agent: Annotated[str, Bounds(choices=("rnn", "individual_actors"))]
    agent_output_type: Annotated[str, Bounds(choices=("pi_logits",))]
    action_selector: Annotated[str, Bounds(choices=("soft_policies", "epsilon_soft"))]
    mask_unavailable: bool
    orthogonal_init: bool
    obs_agent_id: bool
    obs_last_action: bool
    hidden_dim: Annotated[int, Bounds(low=1)]
    use_rnn: bool
    gamma: Annotated[float, Bounds(low=0, high=1)]
    padded: bool
    open_actions: Annotated[str, Bounds(choices=("close", "drop"))]
    optimiser: Annotated[str, Bounds(choices=("adam", "rmsprop"))]
    lr: Annotated[float, Bounds(above=0)]
    critic_lr: Annotated[float, Bounds(above=0)]
    grad_norm_clip: Annotated[float | None, Bounds(above=0)]
    entropy_coef: Annotated[float, Bounds(low=0)]
    batch_size: Annotated[int, Bounds(low=1)]
    buffer_size: Annotated[int, Bounds(low=1)]
    batch_size_run: Annotated[int, Bounds(low=1)]
    learner_log_interval: Annotated[int, Bounds(low=1)]


@dataclass(frozen=True)
class EpsilonSoftKeys:
    """What the selector epsilon_soft reads."""

    epsilon_start: Annotated[float, Bounds(low=0, high=1)]
    epsilon_finish: Annotated[float, Bounds(low=0, high=1)]
    epsilon_anneal_time: Annotated[int, Bounds(low=1)]


@dataclass(frozen=True)
class IppoKeys(ActorCriticKeys):
    """What plugins.learners.ippo reads."""

    gae_lambda: Annotated[float, Bounds(low=0, high=1)]
    eps_clip: Annotated[float, Bounds(above=0)]
    epochs: Annotated[int, Bounds(low=1)]
    standardise_returns: bool


@dataclass(frozen=True)
class AcacKeys(IppoKeys):
    """What plugins.learners.acac reads."""

    critic_heads: Annotated[int, Bounds(low=1)]

    def __post_init__(self) -> None:
        if self.hidden_dim % self.critic_heads:
            raise ValueError(
                f"acac: critic_heads={self.critic_heads} does not divide hidden_dim={self.hidden_dim}, expected a "
                "divisor. Change one of them."
            )


@dataclass(frozen=True)
class MacIaiccKeys(ActorCriticKeys):
    """What plugins.learners.mac_iaicc reads."""

    critic_width: Annotated[int, Bounds(low=1)]
    critic_hidden_dim: Annotated[int, Bounds(low=1)]
    q_nstep: Annotated[int, Bounds(low=1)]
    observations: Annotated[str, Bounds(choices=("held", "fresh"))]
    discount_by_end: bool
    target_update_interval_or_tau: Annotated[float, Bounds(above=0)]


@dataclass(frozen=True)
class IcesActingKeys:
    """What plugins.controllers.ices_mac reads besides async_mac's keys."""

    ices_beta_start: Annotated[float, Bounds(low=0, high=1)]
    ices_beta_finish: Annotated[float, Bounds(low=0, high=1)]
    t_max: Annotated[int, Bounds(low=1)]


@dataclass(frozen=True)
class IcesKeys(IcesActingKeys):
    """What plugins.learners.ices_learner reads besides the value learner's keys, and its controller's."""

    ices_mask: Annotated[str, Bounds(choices=("decisions", "none"))]
    ices_mask_unavailable: bool
    ices_policy_lr: Annotated[float, Bounds(above=0)]
    ices_value_lr: Annotated[float, Bounds(above=0)]
    ices_entropy: Annotated[float, Bounds(low=0)]
    ices_grad_norm_clip: Annotated[float, Bounds(above=0)]
    ices_embedding_dim: Annotated[int, Bounds(low=1)]
    ices_world_hidden_dim: Annotated[int, Bounds(low=1)]
    ices_latent_dim: Annotated[int, Bounds(low=1)]
    ices_normalise_change: bool
    ices_world_transitions: Annotated[int | None, Bounds(low=1)]
    ices_baseline_lr: Annotated[float, Bounds(above=0)]
    ices_world_lr: Annotated[float, Bounds(above=0)]
    ices_world_clip: Annotated[float, Bounds(above=0)]
    ices_world_decay: Annotated[float, Bounds(above=0, high=1)]
    step_penalty: Annotated[float, Bounds(high=0)]
