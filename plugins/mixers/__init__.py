"""Mixers: per-agent utilities to one value for the team. One table says what exists and what each needs."""

from dataclasses import dataclass, fields
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Mapping

from async_envs.core.errors import unknown_name
from plugins.config.keys import NoKeys
from plugins.config.mixer_keys import (
    AvfQmixKeys,
    AvfVdnKeys,
    MvdKeys,
    Na2qAKeys,
    Na2qKeys,
    QattenAKeys,
    QattenKeys,
    QmixKeys,
    QplexKeys,
    ShaqKeys,
)
from plugins.config.reading import read_keys

if TYPE_CHECKING:  # torch is imported when a mixer is built
    from plugins.mixers.base import Mixer

__all__ = ["MIXERS", "MixerSpec", "Sizes", "build_mixer", "mixer_spec"]


@dataclass(frozen=True)
class Sizes:
    """What the task decides."""

    n_agents: int
    state_dim: int
    obs_dim: int
    n_actions: int | None = None  # None: not told; only mixers that look at actions ask


@dataclass(frozen=True)
class MixerSpec:
    """One row of the table.

    The mixer is built as `entry(**sizes it takes, **keys without their prefix, **fixed)`.
    """

    entry: str  # "module:callable"
    keys: type  # dataclass of the configuration keys it reads
    prefix: str  # of those keys; constructor arguments go without it
    sizes: tuple[str, ...]  # fields of Sizes that the constructor takes
    fixed: Mapping[str, Any]  # arguments that this row decides
    vsp: bool  # True: it mixes the utilities of decisions that are being executed, so the learner gathers them
    promises_igm: bool = True  # each agent's best action is part of the best joint one (Eq. 7 of MVD's paper)


_PLAIN = ("n_agents", "state_dim")
_WITH_OBS = ("n_agents", "state_dim", "obs_dim")
_WITH_ACTIONS = ("n_agents", "state_dim", "n_actions")
_NO_PROXIES = {"proxies": False, "masked_proxies": "absent"}  # where the latter is a key with proxies
_VDN = "plugins.mixers.vdn:VDNMixer"
_QMIX = "plugins.mixers.qmix:QMixer"
_QATTEN = "plugins.mixers.qatten:QattenMixer"
_QPLEX = "plugins.mixers.qplex:QplexMixer"
_SHAQ = "plugins.mixers.shaq:ShaqMixer"
_NA2Q = "plugins.mixers.na2q:Na2qMixer"
_MVD = "plugins.mixers.mvd:MVDMixer"
_AVF = "plugins.mixers.avf:AvfMixer"

MIXERS: Mapping[str, MixerSpec] = MappingProxyType({
    "vdn": MixerSpec(_VDN, NoKeys, "", _PLAIN, {"proxies": False}, vsp=False),
    "vdn_a": MixerSpec(_VDN, NoKeys, "", _PLAIN, {"proxies": True}, vsp=True),
    "qmix": MixerSpec(_QMIX, QmixKeys, "", _PLAIN, {"proxies": False}, vsp=False),
    "qmix_a": MixerSpec(_QMIX, QmixKeys, "", _PLAIN, {"proxies": True}, vsp=True),
    "qatten": MixerSpec(_QATTEN, QattenKeys, "qatten_", _WITH_OBS, _NO_PROXIES, vsp=False),
    "qatten_a": MixerSpec(_QATTEN, QattenAKeys, "qatten_", _WITH_OBS, {"proxies": True}, vsp=True),
    "qplex": MixerSpec(_QPLEX, QplexKeys, "qplex_", _WITH_ACTIONS, {"proxies": False}, vsp=False),
    "qplex_a": MixerSpec(_QPLEX, QplexKeys, "qplex_", _WITH_ACTIONS, {"proxies": True}, vsp=True),
    # alpha may raise the utility of an action that is not greedy above that of the greedy one
    "shaq": MixerSpec(_SHAQ, ShaqKeys, "shaq_", _PLAIN, {}, vsp=False, promises_igm=False),
    "na2q": MixerSpec(_NA2Q, Na2qKeys, "na2q_", _WITH_OBS, _NO_PROXIES, vsp=False),
    "na2q_a": MixerSpec(_NA2Q, Na2qAKeys, "na2q_", _WITH_OBS, {"proxies": True}, vsp=True),
    "mvd": MixerSpec(_MVD, MvdKeys, "mvd_", _WITH_OBS, {"monotone": True}, vsp=True),
    # their slots are agents only: executing ones hold the utility of their decision
    "avf_vdn": MixerSpec(_AVF, AvfVdnKeys, "avf_", _PLAIN, {"base": "vdn", "state": "plain"}, vsp=True),
    "avf_qmix": MixerSpec(_AVF, AvfQmixKeys, "avf_", _PLAIN, {"base": "qmix"}, vsp=True),
    # the text's softmax-weighted mean of heads: not monotone, so it is not called MVD
    "boltzmann_heads": MixerSpec(
        _MVD, MvdKeys, "mvd_", _WITH_OBS, {"monotone": False}, vsp=True, promises_igm=False
    ),
})


def mixer_spec(name: object) -> MixerSpec:
    """The row called `name`.

    Raises:
        ValueError: there is none; the line offers the nearest names.
    """
    if name not in MIXERS:
        raise ValueError(unknown_name(f"mixer={name}", "mixer", name, MIXERS))
    return MIXERS[str(name)]


def build_mixer(name: object, sizes: Sizes, config: Mapping[str, Any]) -> "Mixer":
    """The mixer called `name`, for a task of these sizes, with its keys of `config`.

    Raises:
        ValueError: unknown name, a key that is missing or not accepted, sizes that do not fit; one line.
    """
    spec = mixer_spec(name)
    module, _, attribute = spec.entry.partition(":")
    keys: Any = read_keys(spec.keys, config, where=str(name))
    names = [field.name for field in fields(spec.keys)]
    arguments = {each.removeprefix(spec.prefix): getattr(keys, each) for each in names}
    arguments |= {size: getattr(sizes, size) for size in spec.sizes} | dict(spec.fixed)
    mixer: "Mixer" = getattr(import_module(module), attribute)(**arguments)
    return mixer
