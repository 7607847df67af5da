"""What each ablation of the paper compares.

Source: Liang, Wu, Wang, Cai, arXiv:2408.03692v2, section 6.2 (Figure 7, POAC scenario 5) and appendix G (Figures 16
to 20, all scenarios of POAC). All variants take the paper's settings (`paper=True`, Table 4).
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Mapping

from async_envs.core.errors import unknown_name
from plugins.config.schema import config_names

NO_NAME = "ablations: which one? Write python -m benchmarks.ablations NAME --key async:poac-1, NAME one of {known}."

__all__ = ["ABLATIONS", "Ablation", "Panel", "Variant", "ablation"]


@dataclass(frozen=True)
class Variant:
    """One curve: an algorithm with what is changed about it."""

    label: str
    config: str  # as in --config=NAME
    changes: tuple[tuple[str, Any], ...] = ()  # configuration keys and values

    @property
    def folder(self) -> str:
        """Name of its folder: equal variants of different ablations share their runs."""
        return "-".join([self.config, *(f"{name}-{value}" for name, value in self.changes)])


@dataclass(frozen=True)
class Panel:
    """Curves that are drawn over each other."""

    title: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Ablation:
    """One question of the paper."""

    question: str
    variants: tuple[Variant, ...]
    panels: tuple[Panel, ...]

    def chosen(self, labels: tuple[str, ...]) -> tuple[Variant, ...]:
        """The variants of these labels, all if none is named.

        Raises:
            ValueError: an unknown label; one line with the nearest.
        """
        known = [variant.label for variant in self.variants]
        for label in labels:
            if label not in known:
                raise ValueError(unknown_name(f"--only={label}", "variant", label, known))
        return tuple(variant for variant in self.variants if not labels or variant.label in labels)


def _mvd(label: str, order: int, form: str) -> Variant:
    return Variant(label, "mvd", (("mvd_order", order), ("mvd_form", form)))


def _na2q(label: str, config: str, order: int) -> Variant:
    return Variant(label, config, (("na2q_order", order),))


ABLATIONS: Mapping[str, Ablation] = MappingProxyType({
    "algorithms": Ablation(
        "every algorithm that --config knows, the paper's and ours (Figures 4, 5, 6, 14, 15)",
        tuple(Variant(name, name) for name in config_names()),
        (Panel("All algorithms", tuple(config_names())),),
    ),
    "vsp": Ablation(
        "what proxies do for algorithms that were made without them (Figures 7a, 16, 17, 18; VDN is ours to add)",
        (
            Variant("QMIX", "qmix"), Variant("QMIX(A)", "qmix_a"),
            Variant("Qatten", "qatten"), Variant("Qatten(A)", "qatten_a"),
            _na2q("NA2Q", "na2q", 2), _na2q("NA2Q(A)", "na2q_a", 2),
            Variant("VDN", "vdn"), Variant("VDN(A)", "vdn_a"),
            _mvd("MVD", 2, "m"),
        ),
        (
            Panel("Figure 7a", ("QMIX", "QMIX(A)", "Qatten", "Qatten(A)", "MVD")),
            Panel("Figure 16", ("QMIX", "QMIX(A)")),
            Panel("Figure 17", ("Qatten", "Qatten(A)")),
            Panel("Figure 18", ("NA2Q", "NA2Q(A)")),
            Panel("VDN", ("VDN", "VDN(A)")),
        ),
    ),
    "order": Ablation(
        "interactions of different orders, MVD(K) and NA2Q(l) under proxies (Figures 7b, 19)",
        (
            _mvd("MVD(1)", 1, "m"), _mvd("MVD(2)", 2, "m"), _mvd("MVD(3)", 3, "m"),
            _na2q("NA2Q(1)", "na2q_a", 1), _na2q("NA2Q(2)", "na2q_a", 2), _na2q("NA2Q(3)", "na2q_a", 3),
        ),
        (
            Panel("Figures 7b, 19", ("MVD(1)", "MVD(2)", "MVD(3)", "NA2Q(1)", "NA2Q(2)", "NA2Q(3)")),
        ),
    ),
    "implementation": Ablation(
        "the three forms of MVD's mixing network: d direct, s log-mean-exp of heads, m ReLU-MLP (Figures 7c, 20)",
        (_mvd("MVD-d", 2, "d"), _mvd("MVD-s", 2, "s"), _mvd("MVD-m", 2, "m")),
        (Panel("Figures 7c, 20", ("MVD-d", "MVD-s", "MVD-m")),),
    ),
})  # fmt: skip


def ablation(name: str | None) -> Ablation:
    """The ablation called `name`.

    Raises:
        ValueError: there is none; one line with the nearest names.
    """
    if name is None:
        raise ValueError(NO_NAME.format(known=", ".join(ABLATIONS)))
    if name not in ABLATIONS:
        raise ValueError(unknown_name("ablations", "ablation", name, ABLATIONS))
    return ABLATIONS[name]
