"""Learners by name, imported on use."""

from types import MappingProxyType
from typing import Mapping

__all__ = ["LEARNERS"]

_VALUE = "plugins.learners.value_learner:ValueLearner"

# name -> "module:class"; one class serves all of these, and the key `mixer` says what it mixes with
LEARNERS: Mapping[str, str] = MappingProxyType({
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
