"""Units as data: units.toml, its profiles, and what two units are to each other."""

import functools
import tomllib
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from async_envs.core.errors import unknown_name
from async_envs.smac.constants import (
    COOLDOWN_SCALES,
    LAYER_NAMES,
    LOOPS_PER_S,
    OTHER_COOLDOWN_SCALE,
    SKIN,
    WEAPON_NAMES,
)

PROFILES = ("map", "melee410", "smaclite")
LEAST_SCAN = 5.0


@dataclass(frozen=True)
class UnitType:
    """A unit as units.toml tells it; units and meanings are written there."""

    name: str
    health: float
    radius: float
    separation: float
    inner: float
    attributes: tuple[str, ...]
    weapon: str = "none"
    shield: float = 0.0
    armor: float = 0.0
    damage: float = 0.0
    bonus: float = 0.0
    bonus_to: str = ""
    structure_damage: float | None = None
    hits: int = 1
    hit_gap: float = 0.0
    range: float = 0.0
    scan: float | None = None
    slop: float = 1.0
    period: float = 0.0
    damage_point: float = 0.0
    flight: float = 0.0
    speed: float = 0.0
    acceleration: float = 0.0
    regeneration: float = 0.0
    layer: str = "ground"
    targets: tuple[str, ...] = ()

    @property
    def is_structure(self) -> bool:
        """Never moves, whatever pushes."""
        return "structure" in self.attributes

    @property
    def scan_range(self) -> float:
        """Edge to edge."""
        return max(LEAST_SCAN, self.range) if self.scan is None else self.scan

    def damage_to(self, other: "UnitType") -> float:
        """Of one hit, before armor."""
        if self.structure_damage is not None and other.is_structure:
            return self.structure_damage
        return self.damage + (self.bonus if self.bonus_to in other.attributes else 0.0)

    def can_hit(self, other: "UnitType") -> bool:
        """Whether its weapon reaches the other's layer; what walks over cliffs is hit from both."""
        layers = {"ground": {"ground"}, "air": {"air"}, "cliff": {"ground", "air"}}[other.layer]
        return bool(layers & set(self.targets))

    def keeps_apart(self, other: "UnitType") -> bool:
        """Whether the two may not overlap."""
        layers = {self.layer, other.layer}
        if len(layers) == 1 or layers == {"air", "cliff"}:
            return True
        return "cliff" in layers and (self.is_structure or other.is_structure)


@functools.cache
def unit_types(profile: str = "map") -> dict[str, UnitType]:
    """Every unit by its name, with the numbers of a profile."""
    tables = tomllib.loads(Path(__file__).with_name("units.toml").read_text(encoding="utf-8"))
    types = {name: UnitType(name=name, **_frozen(values)) for name, values in tables["map"].items()}
    if profile != "map":
        for name, values in tables[profile].items():
            types[name] = replace(types[name], **_frozen(values))
    return types


def _frozen(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def unit_type(where: str, name: str, profile: str) -> UnitType:
    """One unit.

    Raises:
        ValueError: there is no such unit; one line.
    """
    types = unit_types(profile)
    if name not in types:
        raise ValueError(unknown_name(where, "unit", name, types))
    return types[name]


def unit_arrays(types: Sequence[UnitType], n_agents: int) -> dict[str, np.ndarray]:
    """The fields of `types.Roster` that follow from what the units are."""
    apart = [[(a.separation + b.separation) * a.keeps_apart(b) for b in types] for a in types]
    numbers = {
        "max_health": [unit.health for unit in types],
        "max_shield": [unit.shield for unit in types],
        "armor": [unit.armor for unit in types],
        "regeneration": [unit.regeneration / LOOPS_PER_S for unit in types],
        "period": [unit.period * LOOPS_PER_S for unit in types],
        "flight": [unit.flight / LOOPS_PER_S for unit in types],
        "slop": [unit.slop for unit in types],
        "speed": [unit.speed / LOOPS_PER_S for unit in types],
        "acceleration": [unit.acceleration / LOOPS_PER_S**2 for unit in types],
        "radius": [unit.radius for unit in types],
        "inner": [unit.inner for unit in types],
        "cooldown_scale": [COOLDOWN_SCALES.get(unit.name, OTHER_COOLDOWN_SCALE) for unit in types],
        "reach": [[a.range + a.radius + b.radius for b in types] for a in types],
        "scan": [[a.scan_range + a.radius + b.radius for b in types] for a in types],
        "damage": [[a.damage_to(b) for b in types] for a in types],
        "apart": apart,
        "near": [[max(between - SKIN, 0.0) ** 2 for between in row] for row in apart],
    }
    names = list(unit_types())
    whole = {
        "weapon": [WEAPON_NAMES.index(unit.weapon) for unit in types],
        "hits": [unit.hits for unit in types],
        "hit_gap": [loops(unit.hit_gap) for unit in types],
        "damage_point": [loops(unit.damage_point) for unit in types],
        "layer": [LAYER_NAMES.index(unit.layer) for unit in types],
        "kind": [names.index(unit.name) for unit in types],
    }
    sides = np.arange(len(types)) < n_agents
    hits = [[a.can_hit(b) and sides[u] != sides[v] for v, b in enumerate(types)] for u, a in enumerate(types)]
    flags = {
        "is_structure": [unit.is_structure for unit in types],
        "is_healable": ["biological" in unit.attributes for unit in types],
        "can_hit": hits,
    }
    return {name: np.array(values, np.float64) for name, values in (numbers | whole | flags).items()}


def loops(seconds: float) -> int:
    """Game loops after which something that takes this long has happened."""
    return ceil(seconds * LOOPS_PER_S - 1e-9)
