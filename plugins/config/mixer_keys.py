"""Names, types and bounds of the keys that mixers read. The values live in the YAML files, never here."""

from dataclasses import dataclass
from typing import Annotated, Any, Mapping

from plugins.config.reading import Bounds, read_keys

__all__ = [
    "AvfQmixKeys",
    "AvfVdnKeys",
    "MvdKeys",
    "Na2qAKeys",
    "Na2qKeys",
    "ProxyKeys",
    "QattenAKeys",
    "QattenKeys",
    "QmixKeys",
    "QplexKeys",
    "ShaqKeys",
    "read_proxy_history",
]


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
