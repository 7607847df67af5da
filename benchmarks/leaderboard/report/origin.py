"""Where a run comes from, as a report tells it: names and texts, without folders of the machine it ran on."""

import shlex
from typing import Any, Mapping

__all__ = ["flat"]

NOT_TOLD = ("kind", "crc", "time")  # of a record; they say nothing about the run
PLACES = ("local_results_path", "checkpoint_path")  # words of a command that name folders
SOMEWHERE = "DIR"


def flat(provenance: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested members as dotted names; of the configuration, which bundles hold, the number of its settings."""
    found = {}
    for name, value in provenance.items():
        if prefix + name in NOT_TOLD:
            continue
        if prefix + name == "config" and isinstance(value, Mapping):
            found[name] = f"{len(value)} settings"
        elif prefix + name == "command":
            found[name] = without_places(str(value))
        elif isinstance(value, Mapping):
            found.update(flat(value, f"{prefix}{name}."))
        else:
            found[prefix + name] = str(value)
    return found


def without_places(command: str) -> str:
    """A command with DIR in place of the folders that it names."""
    try:
        words = shlex.split(command)
    except ValueError:  # an open quote: nothing that a shell was given
        return command
    named = [(word.partition("=")[0], word) for word in words]
    return shlex.join(f"{name}={SOMEWHERE}" if name in PLACES else word for name, word in named)
