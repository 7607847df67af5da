"""What a configuration key accepts, and how keys are taken out of a configuration, checked."""

from dataclasses import dataclass, fields
from math import isfinite
from types import NoneType, UnionType
from typing import Annotated, Any, Mapping, TypeVar, get_args, get_origin, get_type_hints

__all__ = [
    "Bounds",
    "check_keys",
    "read_keys",
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
