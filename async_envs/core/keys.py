"""The names of tasks: "async:<family>" or "async:<family>-<variant>". The catalog knows which exist."""

from typing import NamedTuple

__all__ = ["PREFIX", "Key", "has_prefix", "parse"]

PREFIX = "async:"
_FORM = "Write async:<family> or async:<family>-<variant>, e.g. async:poac-5."


class Key(NamedTuple):
    """The parts of a key."""

    family: str  # "poac"
    variant: str | None  # "5"; None when the key leaves it to the family

    def __str__(self) -> str:
        return PREFIX + self.family + (f"-{self.variant}" if self.variant is not None else "")


def has_prefix(text: object) -> bool:
    """Whether a host's environment key is meant for us."""
    return isinstance(text, str) and text.startswith(PREFIX)


def parse(text: str) -> Key:
    """The parts of "async:poac-5"; what stands after the first dash is the variant, dashes and all.

    Raises:
        TypeError: not a text.
        ValueError: another prefix, a family or variant that is empty or holds white space, or a family with a
            colon; one line.
    """
    if not isinstance(text, str):
        raise TypeError(f"key: {text!r} is a {type(text).__name__}, expected a text. {_FORM}")
    if not has_prefix(text):
        raise ValueError(f"key: {text!r} does not begin with {PREFIX!r}. {_FORM}")
    family, dash, variant = text[len(PREFIX):].partition("-")
    if not family:
        raise ValueError(f"key: {text!r} names no family. {_FORM}")
    if ":" in family:
        meant = PREFIX + text[len(PREFIX):].replace(":", "-", 1)
        raise ValueError(f"key: {text!r} has a colon after its family, not a dash. Did you mean {meant!r}? {_FORM}")
    if dash and not variant:
        raise ValueError(f"key: {text!r} ends with a dash, expected a variant after it. {_FORM}")
    if any(character.isspace() for character in text):
        raise ValueError(f"key: {text!r} holds white space. {_FORM}")
    return Key(family, variant if dash else None)
