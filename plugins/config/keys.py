"""Names, types and bounds of configuration keys. The values live in the YAML files, never here.

Each class lists the keys that one reader takes. `read_keys` takes them out of a configuration, checked.
"""

from dataclasses import dataclass, fields
from math import isfinite
from types import NoneType, UnionType
from typing import Annotated, Any, Mapping, TypeVar, get_args, get_origin, get_type_hints

__all__ = [
    "ActorCriticKeys",
    "AvfQmixKeys",
    "AvfVdnKeys",
    "BaseKeys",
    "EpsilonSoftKeys",
    "IcesActingKeys",
    "IcesKeys",
    "IppoKeys",
    "MacIaiccKeys",
    "MvdKeys",
    "Na2qAKeys",
    "Na2qKeys",
    "NoKeys",
    "OptimiserKeys",
    "OurKeys",
    "ProxyKeys",
    "QattenAKeys",
    "QattenKeys",
    "QmixKeys",
    "QplexKeys",
    "RmspropKeys",
    "ShaqKeys",
    "ValueLearnerKeys",
    "check_keys",
    "read_keys",
    "read_proxy_history",
]

Keys = TypeVar("Keys")
_WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}


@dataclass(frozen=True)
class Bounds:
    """What a key accepts beyond its type."""

    low: float | None = None  # accepted itself
    high: float | None = None  # accepted itself
    above: float | None = None  # not accepted itself
    choices: tuple | None = None
    refused: tuple[tuple[str, str], ...] = ()  # (value, why) of values that one may well ask for in vain

    def holds(self, value: Any) -> bool:
        """Whether `value`, of the right type, is accepted; null always is."""
        if value is None:
            return True
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.choices is None or value in self.choices)
        )

    def words(self) -> str:
        """The bounds of a number, in words."""
        if self.low is not None and self.high is not None:
            return f" from {self.low} to {self.high}"
        if self.low is not None:
            return f" of at least {self.low}"
        if self.above is not None and self.high is not None:
            return f" above {self.above}, at most {self.high}"
        if self.high is not None:
            return f" of at most {self.high}"
        return "" if self.above is None else f" above {self.above}"

    def why_not(self, value: Any) -> str:
        """The reason, in brackets, if there is more to say than what is accepted."""
        return next((f" ({why})" for known, why in self.refused if known == value), "")


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
    mask_unavailable: bool


@dataclass(frozen=True)
class IppoKeys(ActorCriticKeys):
    """What plugins.learners.ippo reads."""

    gae_lambda: Annotated[float, Bounds(low=0, high=1)]
    eps_clip: Annotated[float, Bounds(above=0)]
    epochs: Annotated[int, Bounds(low=1)]
    standardise_returns: bool


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
class ProxyKeys:
    """What plugins.vsp.histories offers, to mixers that take proxies."""

    proxy_history: Annotated[
        str,
        Bounds(
            choices=("gather", "own_recurrence"),
            refused=(("stored_hidden", "EPyMARL's batch has no field for the hidden states of acting"),),
        ),
    ]


@dataclass(frozen=True)
class QmixKeys:
    """What plugins.mixers.qmix reads."""

    mixing_embed_dim: Annotated[int, Bounds(low=1)]
    hypernet_layers: Annotated[int, Bounds(low=1, high=2)]
    hypernet_embed: Annotated[int, Bounds(low=1)]


_AVF_UPDATES = Bounds(choices=("D0", "D1", "D2"))


@dataclass(frozen=True)
class AvfVdnKeys:
    """What plugins.mixers.avf reads over a plain sum."""

    avf_update: Annotated[str, _AVF_UPDATES]


@dataclass(frozen=True)
class AvfQmixKeys(QmixKeys):
    """What plugins.mixers.avf reads over QMIX."""

    avf_update: Annotated[str, _AVF_UPDATES]
    avf_state: Annotated[str, Bounds(choices=("joint_macro", "plain"))]


@dataclass(frozen=True)
class QattenKeys:
    """What plugins.mixers.qatten reads."""

    qatten_heads: Annotated[int, Bounds(low=1)]
    qatten_query_embed: Annotated[int, Bounds(low=1)]
    qatten_key_embed: Annotated[int, Bounds(low=1)]
    qatten_head_embed: Annotated[int, Bounds(low=1)]
    qatten_constant_embed: Annotated[int, Bounds(low=1)]
    qatten_weighted_heads: bool
    qatten_key_source: Annotated[str, Bounds(choices=("obs", "state_slice"))]
    qatten_own_state_size: Annotated[int | None, Bounds(low=1)]


_MASKED_PROXIES = Bounds(choices=("absent", "zeroed"))


@dataclass(frozen=True)
class QattenAKeys(QattenKeys):
    """What it reads besides with proxies."""

    qatten_masked_proxies: Annotated[str, _MASKED_PROXIES]


@dataclass(frozen=True)
class QplexKeys:
    """What plugins.mixers.qplex reads."""

    qplex_hypernet_embed: Annotated[int, Bounds(low=1)]
    qplex_kernels: Annotated[int, Bounds(low=1)]
    qplex_kernel_layers: Annotated[int, Bounds(low=1)]
    qplex_kernel_embed: Annotated[int, Bounds(low=1)]
    qplex_minus_one: bool
    qplex_weighted_head: bool


@dataclass(frozen=True)
class ShaqKeys:
    """What plugins.mixers.shaq reads."""

    shaq_orders: Annotated[int, Bounds(low=1)]
    shaq_embed_dim: Annotated[int, Bounds(low=1)]
    shaq_hypernet_layers: Annotated[int, Bounds(low=1, high=2)]
    shaq_hypernet_embed: Annotated[int, Bounds(low=1)]


@dataclass(frozen=True)
class Na2qKeys:
    """What plugins.mixers.na2q reads; `hidden_dim` is the agents' key."""

    hidden_dim: Annotated[int, Bounds(low=1)]
    na2q_order: Annotated[int, Bounds(low=1, high=3)]
    na2q_attention_embed: Annotated[int, Bounds(low=1)]
    na2q_bias_embed: Annotated[int, Bounds(low=1)]
    na2q_vae_embed: Annotated[int, Bounds(low=1)]
    na2q_vae_weight: Annotated[float, Bounds(low=0)]
    na2q_vae_steps: Annotated[str, Bounds(choices=("played", "all"))]


@dataclass(frozen=True)
class Na2qAKeys(Na2qKeys):
    """What it reads besides with proxies."""

    na2q_masked_proxies: Annotated[str, _MASKED_PROXIES]


@dataclass(frozen=True)
class MvdKeys:
    """What plugins.mixers.mvd reads."""

    mvd_order: Annotated[int, Bounds(low=1)]
    mvd_form: Annotated[
        str, Bounds(choices=("d", "s", "m", "gate", "relu_heads", "state_weights", "boltzmann"))
    ]
    mvd_heads: Annotated[int, Bounds(low=1)]
    mvd_width: Annotated[int, Bounds(low=1)]
    mvd_activation: Annotated[str, Bounds(choices=("relu", "leaky_relu"))]
    mvd_hypernet_embed: Annotated[int, Bounds(low=1)]
    mvd_value_embed: Annotated[int, Bounds(low=1)]
    mvd_c_tracker: Annotated[str, Bounds(choices=("running", "batch", "ema", "per_agent"))]
    mvd_c_decay: Annotated[float, Bounds(low=0, high=1)]
    mvd_pair_scale: Annotated[float, Bounds(above=0)]
    mvd_proxy_first_order: bool
    mvd_inactive_first_order: bool
    mvd_roles: Annotated[int, Bounds(choices=(2, 3))]
    mvd_free_executing: bool
    mvd_detach_proxy: bool
    mvd_interaction_mean: bool
    mvd_low_rank: Annotated[int | None, Bounds(low=1)]
    mvd_hat_state: bool


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


def read_keys(keys: type[Keys], config: Mapping[str, Any], where: str) -> Keys:
    """The values of these keys.

    Args:
        keys: one of the classes above.
        config: a configuration; keys of others are ignored.
        where: what is being set up, for the error line.

    Raises:
        ValueError: a key is missing, has the wrong type or is out of bounds; one line.
    """
    names = [each.name for each in fields(keys)]  # type: ignore[arg-type]
    for name in names:
        if name not in config:
            raise ValueError(
                f"{where}: key {name!r} is missing, expected {', '.join(names)}. "
                "Start from a file in plugins/config/algs, which names every key."
            )
    check_keys(keys, config, where)
    return keys(**{name: config[name] for name in names})


def read_proxy_history(config: Mapping[str, Any], mixer: str, has_proxies: bool, where: str) -> str | None:
    """The value of `proxy_history`, None for a mixer without proxies.

    Raises:
        ValueError: as `read_keys`, or the key stands beside a mixer that would not heed it; one line.
    """
    if has_proxies:
        return read_keys(ProxyKeys, config, where).proxy_history
    if "proxy_history" in config:
        raise ValueError(
            f"{where}: proxy_history={config['proxy_history']!r} does nothing with mixer={mixer!r}, which "
            "takes no proxies, expected no such key. Start from the YAML file of that mixer."
        )
    return None


def check_keys(keys: type, config: Mapping[str, Any], where: str) -> None:
    """Check those of these keys that `config` has.

    Raises:
        ValueError: wrong type or out of bounds; one line.
    """
    for name, hint in get_type_hints(keys, include_extras=True).items():
        if name in config:
            _check_value(name, hint, config[name], where)


def _check_value(name: str, hint: Any, value: Any, where: str) -> None:
    bounds = Bounds()
    if get_origin(hint) is Annotated:
        hint, bounds = get_args(hint)
    types = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    has_type = type(value) in types or (type(value) is int and float in types)
    is_finite = not isinstance(value, float) or isfinite(value)
    if has_type and is_finite and bounds.holds(value):
        return
    if bounds.choices:
        accepted = "one of " + ", ".join(str(choice) for choice in bounds.choices)
    else:
        accepted = _WORDS[types[0]] + bounds.words()
    if NoneType in types:
        accepted += " or null"
    raise ValueError(
        f"{where}: {name}={value!r} is not accepted{bounds.why_not(value)}, expected {accepted}. "
        "Change it on the command line or in the YAML file."
    )
