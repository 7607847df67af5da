"""Where a run comes from: command, configuration, versions, source, machine, and the task's own source.

What tells who or where somebody is (host names, user names, folders of results) is left out.
"""

import functools
import hashlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any, Mapping, Sequence

from plugins.envs import HOST_OPTIONS
from registry import catalog
from registry.records import read_records

__all__ = [
    "environment_hash", "environment_of", "provenance", "provenance_of_run", "resolved", "source_state", "versions",
]  # fmt: skip

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "numpy", "numba", "gymnasium", "pettingzoo", "sacred")  # those that results may hang on
CORE = "async_envs.core.simulator"  # lies where all that families share does
SOURCE = ("async_envs", "plugins", "registry", "src")  # of this repository: what runs depend on
RESULTS = "local_results_path"  # the folder that results go to: it tells who and where somebody is
NO_RULES = (".md", ".pyc", catalog.SCORES)  # ends of file names: pages, byte code, reference scores


def provenance(config: Mapping[str, Any], argv: Sequence[str], host_name: str) -> dict[str, Any]:
    """What the record of a run says at every start.

    Args:
        config: the whole configuration that the run was given.
        argv: the command line, the program's name first.
        host_name: the EPyMARL that runs us.

    Returns:
        JSON values: command, config, versions, commit, dirty (None outside of a git checkout), hardware (cpu,
        cores, memory in bytes, gpu or None, threads), environment (`environment_hash`, None for a task of the
        host's), host, platform, lock (SHA-256 over all installed packages with their versions).
    """
    return {
        "command": command_line(argv),
        "config": resolved(config),
        "versions": versions(),
        **source_state(),
        "hardware": hardware(int(config["threads"])),
        "environment": environment_of(config),
        "host": host_name,
        "platform": platform.platform(),
        "lock": lock(),
    }


def command_line(argv: Sequence[str]) -> str:
    """The command as typed, but for where results go; the program's path from the repository on."""
    if not argv:
        return "python"
    program = Path(argv[0])
    if program.is_absolute() and program.is_relative_to(ROOT):
        program = program.relative_to(ROOT)
    words = [word for word in argv[1:] if word.partition("=")[0] != RESULTS]
    return shlex.join(["python", program.as_posix(), *words])


def resolved(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without the folder that results go to, as plain JSON values, sorted."""
    kept = {name: value for name, value in config.items() if name != RESULTS}
    plain: dict[str, Any] = json.loads(json.dumps(kept, default=str, sort_keys=True))
    return plain


@functools.cache
def versions() -> dict[str, str]:
    """Python's version and those of the packages that results may hang on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


@functools.cache
def lock() -> str:
    """SHA-256 over the names and versions of everything installed."""
    installed = sorted({f"{str(each.name).lower()}=={each.version}" for each in metadata.distributions()})
    return hashlib.sha256("\n".join(installed).encode()).hexdigest()


def hardware(threads: int) -> dict[str, Any]:
    """What the run has at hand: cpu, logical cores, memory in bytes, the CUDA device or None, torch's threads."""
    import psutil
    import torch

    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": threads,
    }


@functools.cache
def cpu_name() -> str:
    """The processor's model, or what the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def source_state() -> dict[str, Any]:
    """The commit of this source, and whether what runs depend on was changed since; nulls outside of a checkout."""
    nothing = {"commit": None, "dirty": None}
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return nothing
    asked = [
        subprocess.run(
            ["git", "--no-optional-locks", "-C", str(ROOT), *words], capture_output=True, text=True, check=False
        )
        for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", *SOURCE])
    ]
    if any(answer.returncode for answer in asked):
        return nothing
    return {"commit": asked[0].stdout.strip(), "dirty": bool(asked[1].stdout.strip())}


def provenance_of_run(run_dir: Path | str) -> dict[str, Any]:
    """What a run's record says of its first start; empty for runs of older versions, and without a record."""
    try:
        records = read_records(run_dir)
    except ValueError:
        return {}
    return next((record for record in records if record["kind"] == "provenance"), {})


def environment_of(config: Mapping[str, Any]) -> str | None:
    """`environment_hash` of a configuration's task; None if it is not one of ours."""
    env_args = config.get("env_args") or {}
    key = env_args.get("key")
    return environment_hash(str(key), env_args) if catalog.is_key(key) else None


def environment_hash(key: str, options: Mapping[str, Any]) -> str:
    """What a task is, as one hash: two runs with the same one have played the same rules.

    SHA-256 over the canonical key, the options that are not at their defaults (a file's content in its
    place), and the source of async_envs/core and of the family's folder; data included, pages and scores left out.

    Args:
        key: e.g. "async:poac-1".
        options: the family's, and `vsp`; what a host adds to them is passed over.

    Raises:
        ValueError: an unknown key or option; one line.
    """
    family, _ = catalog.parse_key(key)
    name = catalog.canonical_key(key)
    given = family.check_options(name, {each: options[each] for each in options if each not in HOST_OPTIONS})
    defaults = {option.name: option.default for option in family.options}
    chosen = {each: _content(value) for each, value in given.items() if value != defaults[each]}
    if options.get("vsp"):
        chosen["vsp"] = True
    stated = json.dumps({"key": name, "options": chosen}, sort_keys=True)
    rooms = (_digest(_folder_of(module)) for module in (CORE, family.entry.partition(":")[0]))
    return hashlib.sha256("\n".join([stated, *rooms]).encode()).hexdigest()


def _content(value: Any) -> Any:
    """An option's value; of one that names a file, what is in it."""
    if isinstance(value, str) and os.path.isfile(value):
        return hashlib.sha256(Path(value).read_bytes()).hexdigest()
    return value


def _folder_of(module: str) -> Path:
    """The folder that a module's file lies in; the module is not imported."""
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


@functools.cache
def _digest(folder: Path) -> str:
    """SHA-256 over the sources and data in `folder`, the same for every way of ending lines."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        if path.is_file() and not path.name.endswith(NO_RULES):
            content = path.read_bytes().replace(b"\r\n", b"\n")
            digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()
