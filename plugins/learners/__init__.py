"""Learners by name, imported on use, and what each reads of the configuration besides its mixer's keys."""

from types import MappingProxyType
from typing import Mapping

from plugins.config.keys import AcacKeys, IcesKeys, IppoKeys, MacIaiccKeys, NoKeys

__all__ = ["ACTOR_CRITICS", "LEARNERS", "learner_keys", "takes_any_mixer"]

_VALUE = "plugins.learners.value_learner:ValueLearner"
_EVENTS = "plugins.learners.joint_events:JointEventLearner"

# name -> "module:class"; these learn from own decisions and fresh episodes, without a mixer
ACTOR_CRITICS: Mapping[str, str] = MappingProxyType({
    "acac_learner": "plugins.learners.acac:AcacLearner",
    "ippo_learner": "plugins.learners.ippo:IppoLearner",
    "mac_iaicc_learner": "plugins.learners.mac_iaicc:MacIaiccLearner",
})

# a class serves many of the others, and the key `mixer` says what it mixes with
LEARNERS: Mapping[str, str] = MappingProxyType({
    **ACTOR_CRITICS,
    "avf_qmix_learner": _EVENTS,
    "avf_vdn_learner": _EVENTS,
    "ices_learner": "plugins.learners.ices_learner:IcesLearner",
    "mvd_learner": _VALUE,
    "na2q_a_learner": _VALUE,
    "na2q_learner": _VALUE,
    "qatten_a_learner": _VALUE,
    "qatten_learner": _VALUE,
    "qplex_a_learner": _VALUE,
    "qplex_learner": _VALUE,
    "qmix_a_learner": _VALUE,
    "qmix_learner": _VALUE,
    "shaq_learner": _VALUE,
    "vdn_a_learner": _VALUE,
    "vdn_learner": _VALUE,
})

_OWN_KEYS: Mapping[str, type] = MappingProxyType({
    "acac_learner": AcacKeys,
    "ices_learner": IcesKeys,
    "ippo_learner": IppoKeys,
    "mac_iaicc_learner": MacIaiccKeys,
})


def learner_keys(name: str) -> type:
    """The dataclass of the keys that the learner called `name` reads, besides those of every value learner."""
    return _OWN_KEYS.get(name, NoKeys)


def takes_any_mixer(name: str) -> bool:
    """Whether the mixer beside this learner is the user's choice; each of the others is named after its mixer."""
    return name == "ices_learner"
