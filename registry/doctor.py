"""What this machine can run, and what to do about what it cannot."""

import importlib.metadata
import os
import platform
import sys
import warnings
from dataclasses import dataclass
from typing import Callable, Iterator

NEEDED = tuple("numpy numba torch sacred gymnasium pettingzoo PyYAML click filelock psutil rich safetensors".split())
OPTIONAL = ("wandb", "tensorboard", "matplotlib")
OLDEST, NEWEST = (3, 11), (3, 13)


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    name: str
    is_good: bool
    text: str
    remedy: str = ""
    is_needed: bool = True  # whether the main command cannot run without it

    def __str__(self) -> str:
        mark = "ok" if self.is_good else ("MISSING" if self.is_needed else "no")
        return f"{mark:<8}{self.name:<16}{self.text}{' ' + self.remedy if self.remedy else ''}"


def examine() -> Iterator[Finding]:
    """Every finding, one by one; nothing is left behind."""
    yield _python()
    for package in (*NEEDED, *OPTIONAL):
        yield _package(package, package in NEEDED)
    for look in (_threads, _devices, _kernel_cache):
        yield _guarded(look)
    try:
        yield from _hosts()
    except ImportError as error:
        yield _missing("host", error)
    yield _guarded(_results)


def _guarded(look: Callable[[], Finding]) -> Finding:
    """A look that needs a package which may be missing."""
    try:
        return look()
    except ImportError as error:
        return _missing(look.__name__.strip("_").replace("_", " "), error)


def _missing(name: str, error: ImportError) -> Finding:
    return Finding(name, False, f"{error}.", "Install the packages above first.")


def _python() -> Finding:
    good = OLDEST <= sys.version_info[:2] <= NEWEST
    remedy = "" if good else "Use Python 3.11, 3.12 or 3.13; others are not tested."
    return Finding("python", good, platform.python_version(), remedy, is_needed=sys.version_info[:2] < OLDEST)


def _package(name: str, is_needed: bool) -> Finding:
    try:
        return Finding(name, True, importlib.metadata.version(name), is_needed=is_needed)
    except importlib.metadata.PackageNotFoundError:
        remedy = f"Install it: pip install {name}." if is_needed else f"Optional: pip install {name}."
        return Finding(name, False, "not installed.", remedy, is_needed)


def _threads() -> Finding:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limit = os.environ.get("OMP_NUM_THREADS", "not set")
    text = f"{cores} cores; torch would take {torch.get_num_threads()}, a run takes `threads` (1). "
    return Finding("threads", True, f"{text}OMP_NUM_THREADS: {limit}.")


def _devices() -> Finding:
    import torch

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if names:
        return Finding("devices", True, ", ".join(names))
    return Finding("devices", True, "cpu only; use_cuda=True falls back to it.")


def _kernel_cache() -> Finding:
    from async_envs.core.compile import CACHE_VARIABLE, cache_folder, is_complete
    from registry.catalog import FAMILIES
    from registry.checks import check_results_root

    folder = cache_folder()
    try:
        check_results_root(folder)
    except ValueError:
        remedy = f"Kernels are compiled at every start: set {CACHE_VARIABLE} to a folder that can be written."
        return Finding("kernel cache", False, f"{folder} cannot be written.", remedy, is_needed=False)
    missing = [name for name in FAMILIES if not is_complete(name)]
    state = f"not complete for {', '.join(missing)}; the next run compiles once." if missing else "complete."
    return Finding("kernel cache", True, f"{folder} is {state}")


def _hosts() -> Iterator[Finding]:
    from registry.hosts import select

    try:
        chosen = select.chosen_name()
    except ValueError as error:
        yield Finding("host", False, str(error))
        chosen = "embedded"
    for name in select.HOSTS:
        said = " (chosen)" if name == chosen else ""
        try:
            host = select.choose(name)
            with warnings.catch_warnings():  # a host's own, about packages it can do without
                warnings.simplefilter("ignore")
                host.parts()
        except (ValueError, ImportError) as error:
            yield Finding("host", False, f"{name}{said}: {error}", is_needed=name == chosen)
            continue
        yield Finding("host", True, f"{name}{said}: {host.config_dir.parent}", is_needed=name == chosen)


def _results() -> Finding:
    from registry.checks import check_results_root

    try:
        check_results_root("results")
    except ValueError as error:
        return Finding("results", False, str(error))
    return Finding("results", True, f"{os.path.abspath('results')} can be written.")
