"""What a family lets its users choose, and the check of what they chose."""

import operator
from dataclasses import dataclass
from typing import Any, Mapping

from async_envs.core.errors import unknown_name


@dataclass(frozen=True)
class Option:
    """One option of a family; `default=None` means that the scenario decides."""

    name: str
    type: type  # bool, int, float or str
    default: Any
    help: str
    choices: tuple | None = None
    low: float | None = None  # inclusive
    high: float | None = None  # inclusive
    hides_status: bool = False  # True: switched on, masks no longer tell executing agents from others

    def check(self, where: str, value: Any) -> Any:
        """`value` as this option's type.

        Raises:
            ValueError: wrong type, not among the choices, or out of range; one line.
        """
        if self.type is float and type(value) is int:
            value = float(value)
        if type(value) is not self.type:
            raise ValueError(
                f"{where}: option {self.name}={value!r} is a {type(value).__name__}, "
                f"expected {self.accepted()}. {self.help}"
            )
        number: Any = value  # bounds are given for numbers only
        in_range = (self.low is None or number >= self.low) and (
            self.high is None or number <= self.high
        )
        if not in_range or (self.choices is not None and value not in self.choices):
            raise ValueError(self.refusal(where, value))
        return value

    def refusal(self, where: str, value: Any) -> str:
        """The line for a value that is not accepted."""
        return f"{where}: option {self.name}={value!r} is not accepted, expected {self.accepted()}. {self.help}"

    def accepted(self) -> str:
        """What this option accepts, in words: its choices, or its type and bounds."""
        if self.choices is not None:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        name = {"bool": "True or False", "int": "a whole number", "float": "a number"}.get(
            self.type.__name__, "a text"
        )
        if self.low is None and self.high is None:
            return name
        if self.high is None:
            return f"{name} of at least {self.low}"
        return f"{name} from {self.low} to {self.high}"


@dataclass(frozen=True)
class StepsOption(Option):
    """Numbers of steps, checked to a tuple; where there are `rules`, also the name of one."""

    rules: tuple[str, ...] = ()
    longest: int = 100  # steps

    def check(self, where: str, value: Any) -> Any:
        """The rule's name, or the numbers; given as a list, an array, a text ("1,2,3") or a single one.

        Raises:
            ValueError: neither; one line.
        """
        if isinstance(value, str) and value in self.rules:
            return value
        if hasattr(value, "tolist"):  # an array
            value = value.tolist()
        parts = value.split(",") if isinstance(value, str) else value
        numbers = [_whole(part) for part in (parts if isinstance(parts, (list, tuple)) else [parts])]
        if numbers and all(number is not None and 1 <= number <= self.longest for number in numbers):
            return tuple(numbers)
        raise ValueError(self.refusal(where, value))

    def accepted(self) -> str:
        """The rules and the form of a list."""
        rules = f"one of {', '.join(self.rules)}, or " if self.rules else ""
        return f"{rules}whole numbers from 1 to {self.longest} (1,2,3)"


def _whole(part: Any) -> int | None:
    """The whole number that this is, or that stands in this text."""
    if isinstance(part, str):
        return int(part) if part.strip().isdecimal() else None
    try:
        return None if isinstance(part, bool) else operator.index(part)
    except TypeError:
        return None


@dataclass(frozen=True)
class Family:
    """A group of tasks, described without importing its simulator.

    `entry` is "module:callable"; it is called as `entry(key, variant, batch_size, **options)` with the
    options that the user gave (checked, null ones left out) and returns a `Simulator`.
    """

    name: str  # "poac"
    variants: tuple[str, ...]  # ("1", "2"): keys async:poac-1, async:poac-2
    default_variant: str  # the key async:poac stands for async:poac-<default_variant>
    options: tuple[Option, ...]
    entry: str
    summary: str
    open_variants: bool = False  # True: any other variant is handed to `entry`, which judges it

    def hiding_status(self, given: Mapping[str, Any]) -> str | None:
        """The option among those given that keeps masks from telling who executes; None if they do."""
        hiding = (option.name for option in self.options if option.hides_status)
        return next((name for name in hiding if given.get(name)), None)

    def check_options(self, where: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """The options that were given (null ones left out), each checked.

        Raises:
            ValueError: an unknown option, or a value that is not accepted; one line.
        """
        known = {option.name: option for option in self.options}
        for name in given:
            if name not in known:
                raise ValueError(unknown_name(where, "option", name, known))
        return {
            name: known[name].check(where, value)
            for name, value in given.items()
            if value is not None
        }
