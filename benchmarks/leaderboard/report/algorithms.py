"""What a table says of an algorithm, from the first lines of its configuration."""

from typing import Any, Sequence

from registry.__main__ import header
from registry.config import OURS

__all__ = ["algorithms"]

WITH_PROXIES = "_a"
SPELLED = {"qatten": "Qatten", "na2q": "NA2Q", "mac_iaicc": "MAC-IAICC", "avf_vdn": "AVF-VDN", "avf_qmix": "AVF-QMIX"}


def algorithms(names: Sequence[str]) -> list[dict[str, Any]]:
    """name, title, mechanism and source of each; empty texts for an unknown one."""
    return [_algorithm(name) for name in names]


def spelled(name: str) -> str:
    """The name as papers write it: QMIX(A) of qmix_a."""
    base = name.removesuffix(WITH_PROXIES)
    return SPELLED.get(base, base.upper()) + ("(A)" if name.endswith(WITH_PROXIES) else "")


def _algorithm(name: str) -> dict[str, Any]:
    path = OURS / "algs" / f"{name}.yaml"
    about = header(path) if path.is_file() else []
    return {
        "name": name,
        "title": spelled(name),
        "mechanism": about[0] if about else "",
        "source": " ".join(about[1:]),
    }
