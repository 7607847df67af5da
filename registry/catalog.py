"""The one table of families, and the way from a key to its simulator.

A key is written `async:<family>-<variant>`, as in `async:poac-5`; `async:poac` stands for the family's first
task.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, Mapping

from async_envs.core import keys as core_keys
from async_envs.core.errors import unknown_name
from async_envs.core.options import Family

PREFIX = core_keys.PREFIX

# Name of a family -> "module:attribute" of its description. Nothing is imported before it is asked for.
FAMILIES = {
    "poac": "async_envs.poac.family:FAMILY",
    "overcooked": "async_envs.overcooked.family:FAMILY",
    "smac": "async_envs.smac.family:FAMILY",
    "tabular": "async_envs.tabular.family:FAMILY",
    "pettingzoo": "async_envs.asynchronize.family:PETTINGZOO",
    "gymnasium": "async_envs.asynchronize.family:GYMNASIUM",
}

OF_OTHERS = ("pettingzoo", "gymnasium")  # families whose keys name modules that are not ours

# Name of a view -> "module:class", called as `cls(simulator)`.
VIEWS = {
    "gymnasium": "async_envs.core.views:GymnasiumView",
    "parallel": "async_envs.core.views:ParallelView",
    "aec": "async_envs.core.views:AECView",
}

SCORES = "scores.yaml"  # of a family: reference scores of its tasks, beside the module of its description

VIEW_OPTIONS = ("invalid_actions", "render_mode")

ONE_EPISODE = "{key}: view={view!r} shows one episode, batch_size={batch_size!r} is not accepted. Use 1."
NO_PREFIX = "{key}: a key of ours begins with 'async:'. Write 'async:{key}'."


def load(entry: str) -> Any:
    """The object that "module:attribute" names."""
    module, _, attribute = entry.partition(":")
    return getattr(import_module(module), attribute)


@lru_cache(maxsize=None)
def family(name: str) -> Family:
    """The description of the family called `name`.

    Raises:
        ValueError: there is no such family; one line with the nearest names.
    """
    if name not in FAMILIES:
        raise ValueError(unknown_name(PREFIX + name, "family", name, FAMILIES))
    described: Family = load(FAMILIES[name])
    return described


def is_key(key: object) -> bool:
    """Whether `key` is one of ours, by its prefix."""
    return core_keys.has_prefix(key)


def parse_key(key: str) -> tuple[Family, str]:
    """The family and the variant that `key` names.

    Raises:
        ValueError: no prefix, an unknown family or an unknown scenario; one line with the nearest names.
    """
    if not is_key(key):
        if isinstance(key, str) and key.split("-")[0] in FAMILIES:
            raise ValueError(NO_PREFIX.format(key=key))
        raise ValueError(unknown_name(repr(key), "key", key, keys()))
    name, variant = core_keys.parse(key)
    found = family(name)
    if variant is None:
        return found, found.default_variant
    if variant not in found.variants and not found.open_variants:
        given = [f"{PREFIX}{found.name}-{known}" for known in found.variants]
        raise ValueError(unknown_name(key, "scenario", key, given))
    return found, variant


def canonical_key(key: str) -> str:
    """`key` with its variant written out: async:poac becomes async:poac-1."""
    found, variant = parse_key(key)
    return f"{PREFIX}{found.name}-{variant}"


def keys() -> list[str]:
    """Every key of every family, in the order of the tables."""
    return [f"{PREFIX}{name}-{variant}" for name in FAMILIES for variant in family(name).variants]


def make(key: str, batch_size: int = 1, view: str | None = None, **options: Any) -> Any:
    """The simulator of a task, or a view over it.

    Args:
        key: e.g. "async:poac-5"; `python -m registry keys` lists them.
        batch_size: B, how many episodes are played together; a view over one episode needs 1.
        view: None for the simulator itself, or "gymnasium", "parallel", "aec".
        options: of the family (and of the view); None stands for the default.

    Returns:
        An `async_envs.core.simulator.Simulator`, or the view.

    Raises:
        ValueError: an unknown key, option or view, or a value that is not accepted; one line.
    """
    found, variant = parse_key(key)
    name = canonical_key(key)
    if view is not None and view not in VIEWS:
        raise ValueError(unknown_name(name, "view", view, VIEWS))
    if view is not None and batch_size != 1:
        raise ValueError(ONE_EPISODE.format(key=name, view=view, batch_size=batch_size))
    for_view = {option: options.pop(option) for option in VIEW_OPTIONS if view and option in options}
    build: Callable[..., Any] = load(found.entry)
    simulator = build(name, variant, batch_size, **found.check_options(name, options))
    if view is None:
        return simulator
    return load(VIEWS[view])(simulator, **for_view)


@dataclass(frozen=True)
class ReferenceScores:
    """Fixed returns of a task that others are measured against: (return - random) / (best - random)."""

    random: float  # mean return of uniformly random play over the masks
    random_error: float | None  # its standard error; None where every episode is the same
    best: float  # mean return of the best that is known
    best_error: float | None  # its standard error, where it was measured by playing
    best_how: str  # who plays best, or where the figure is from
    episodes: int  # that each measured mean is over
    holds_with: tuple[str, ...]  # options that may be changed: the returns keep their meaning


def reference_scores(key: str) -> ReferenceScores | None:
    """The reference scores of a task with its default options, or None where there are none.

    `python -m benchmarks.leaderboard scores` measures them anew.

    Raises:
        ValueError: an unknown key; one line.
    """
    found = family_scores(parse_key(key)[0].name)
    scores = found.get("tasks", {}).get(canonical_key(key))
    if scores is None:
        return None
    return ReferenceScores(
        random=float(scores["random"]),
        random_error=scores["random_error"],
        best=float(scores["best"]),
        best_error=scores["best_error"],
        best_how=scores["best_how"],
        episodes=int(found["episodes"]),
        holds_with=tuple(found["holds_with"]),
    )


def scores_path(name: str) -> Path:
    """Where the reference scores of a family lie; there may be none yet."""
    module = FAMILIES[name].partition(":")[0]
    origin = getattr(find_spec(module), "origin", None)
    if origin is None:
        raise ValueError(f"{name}: the module {module} has no file. Install the package as files.")
    return Path(origin).parent / SCORES


@lru_cache(maxsize=None)
def family_scores(name: str) -> Mapping[str, Any]:
    """What a family's file of reference scores says; empty where there is none."""
    import yaml

    path = scores_path(name)
    if not path.is_file():
        return {}
    said: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return said
