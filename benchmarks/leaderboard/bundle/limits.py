"""How large a bundle may be; all of it is checked before memory is used."""

from dataclasses import dataclass

__all__ = ["LIMITS", "Limits", "in_words"]

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Bounds of one bundle; sizes are bytes, of what is unpacked unless said otherwise."""

    packed: int = 2048 * MIB  # of the zip file itself
    total: int = 4096 * MIB
    document: int = 16 * MIB  # a .json file
    log: int = 512 * MIB  # a .jsonl file
    weights: int = 512 * MIB
    files: int = 20_000
    line: int = 2 * MIB  # of a .jsonl file
    depth: int = 24  # of JSON
    digits: int = 20  # of a whole number: 2**64 has as many
    text: int = 20_000  # characters of a string in JSON
    tensors: int = 2_000

    def of(self, name: str) -> int:
        """Bytes that the file called `name` may have."""
        if name.endswith(".jsonl"):
            return self.log
        return self.weights if name.endswith(".safetensors") else self.document


LIMITS = Limits()


def in_words(n_bytes: int) -> str:
    """ "16 MiB"."""
    return f"{n_bytes / MIB:,.0f} MiB" if n_bytes >= MIB else f"{n_bytes:,} bytes"
