"""Where every compiler option of our kernels lives, and where their machine code is kept.

Compiled kernels are kept in one folder of ours, named by a hash over everything that can change them (the
sources of async_envs, the versions of numba, llvmlite and Python, the CPU, the options). numba's own key
sees only the file in which a kernel stands, so that an edited constant of another file would go unnoticed.
Only one process writes at a time (numba issues 4807 and 10128 tell what happens otherwise).

Decorating the first kernel reads the sources, for the hash; nothing is written before a kernel is called.
"""

import functools
import hashlib
import logging
import os
import platform
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, TypeVar, cast

import llvmlite
import llvmlite.binding
import numba
import numpy as np
from filelock import FileLock, Timeout
from numba.core.caching import FunctionCache, NullCache

__all__ = [
    "CACHE_VARIABLE", "cache_folder", "compile_counts", "compiling", "is_compiled", "is_complete", "keep",
    "kernel", "lean_kernel", "warm_up",
]  # fmt: skip

CACHE_VARIABLE = "ASYNC_EPYMARL_CACHE"  # environment variable; the folder that holds the caches

KEPT_FOLDERS = 4  # caches of other versions that may stay
KEPT_AT_LEAST_S = 3600.0  # a cache used more recently than this is never removed

_OPTIONS = {"nogil": True}
_LEAN_OPTIONS = {"_nrt": False, "forceinline": True}  # see lean_kernel
_NUMBA_SETTINGS = (  # of numba.config; each changes the machine code
    "BOUNDSCHECK", "CPU_FEATURES", "CPU_NAME", "DEBUGINFO_DEFAULT", "ENABLE_AVX", "JIT_COVERAGE",
    "LLVM_REFPRUNE_FLAGS", "LOOP_VECTORIZE", "OPT", "SLP_VECTORIZE",
)  # fmt: skip
_SOURCES = Path(__file__).resolve().parents[1]
_UNWRITABLE = (
    "The kernel cache %s cannot be used (%s), so kernels are compiled anew in every process. "
    "Set " + CACHE_VARIABLE + " to a folder that can be written."
)

_log = logging.getLogger(__name__)
_config: Any = numba.config
_njit: Any = numba.njit
_kernels: list[Any] = []
_warm: set[str] = set()
_Function = TypeVar("_Function", bound=Callable[..., Any])


def kernel(function: _Function) -> _Function:
    """Compile `function` on its first call; later processes read the machine code. It runs without the GIL.

    Under NUMBA_DISABLE_JIT=1 the function stays Python, with numpy's warnings about integer overflow off
    (random streams wrap around on purpose).
    """
    if not is_compiled():
        return np.errstate(over="ignore")(function)
    _fingerprint()
    dispatcher = _njit(**_OPTIONS)(function)
    dispatcher._cache = _KernelCache(function)
    _kernels.append(dispatcher)
    return cast(_Function, dispatcher)


def lean_kernel(function: _Function) -> _Function:
    """`kernel` without reference counts, placed inside its callers. It must not allocate.

    Handing a NamedTuple of arrays to a function makes numba count a reference to each of its arrays, and
    these atomic counts took most of a step of POAC (several times slower with them). Kernels that allocate
    and keep nothing need no counts; where they are many and short, they belong inside their callers.
    """
    compiled = cast(Any, kernel(function))
    if is_compiled():
        compiled.targetoptions |= _LEAN_OPTIONS
    return cast(_Function, compiled)


def keep(dispatchers: Iterable[Any]) -> None:
    """Keep the machine code of kernels that were decorated with `numba.njit`, in our folder as well.

    For kernels of code that imports nothing of ours. Each must be made of its own file alone: that file is
    what numba compares, and our hash covers async_envs only. Call it before the kernels run; twice changes
    nothing.
    """
    if not is_compiled():
        return
    for dispatcher in dispatchers:
        if dispatcher not in _kernels:
            dispatcher._cache = _KernelCache(dispatcher.py_func)
            _kernels.append(dispatcher)


def warm_up(family: str, play: Callable[[], object], about_s: float = 30.0) -> None:
    """Compile a family's kernels once on this machine; call it at the start of the family's factory.

        def make(key, variant, batch_size, **options):
            warm_up("poac", lambda: _play_two_steps(PoacSimulator(key, variant, 1, **options)))
            return PoacSimulator(key, variant, batch_size, **options)

    Where the cache already holds the family this costs a look at one file; kernels are then read when they
    are first called. Otherwise one process plays while the others wait for it. In one process, the first
    call decides.

    Args:
        family: the family's name; one word, as it becomes part of a file name.
        play: makes a small simulator (not through the factory), resets it and steps it, so that every
            kernel runs with the types that real use has.
        about_s: seconds that compiling takes on a usual machine, for the message.
    """
    if family in _warm or not is_compiled():
        return
    with compiling(family, about_s) as is_needed:
        if is_needed:
            play()
    _warm.add(family)


@contextmanager
def compiling(family: str, about_s: float = 30.0) -> Iterator[bool]:
    """Hold the right to compile `family`; yields whether its kernels still have to be compiled.

    If True, the body must call every kernel of the family; when it ends without an error the family is
    marked complete and other processes stop asking for the lock. If another process is compiling, waits
    for it first. Both are said at INFO. `warm_up` is the usual way in.
    """
    folder = cache_folder()
    if is_complete(family):
        _touch(folder)
        yield False
        return
    if not _is_writable(folder):
        yield True
        return
    lock = _lock(folder)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _log.info("%s: another process is compiling the kernels, waiting for it.", family)
        lock.acquire()
    try:
        if is_complete(family):
            yield False
            return
        _log.info("%s: compiling the kernels once, about %.0f s.", family, about_s)
        start = time.perf_counter()
        yield True
        _log.info("%s: kernels compiled in %.1f s.", family, time.perf_counter() - start)
        _mark_complete(folder, family)
        _prune(folder)
    finally:
        lock.release()


def is_compiled() -> bool:
    """False under NUMBA_DISABLE_JIT=1, where kernels are Python."""
    return not _config.DISABLE_JIT


def is_complete(family: str) -> bool:
    """Whether every kernel of the family has been compiled for these sources on this machine."""
    return _marker(cache_folder(), family).exists()


def compile_counts() -> tuple[int, int]:
    """Signatures that this process read from the cache, and those that it compiled."""
    stats = [dispatcher.stats for dispatcher in _kernels]
    return (
        sum(sum(stat.cache_hits.values()) for stat in stats),
        sum(sum(stat.cache_misses.values()) for stat in stats),
    )


@functools.cache
def cache_folder() -> Path:
    """Where the machine code of this process's kernels is kept; the folder need not exist."""
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        root = Path(given).expanduser()
    else:
        user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        root = Path(user, "async-epymarl", "kernels")
    return root.absolute() / _fingerprint()


@functools.cache
def _fingerprint() -> str:
    """The hash as it was when the first kernel was decorated, that is, for the sources that were imported."""
    return _fingerprint_now(_SOURCES)


def _fingerprint_now(sources: Path) -> str:
    """Hash over everything that can change the machine code: 16 hex digits."""
    digest = hashlib.blake2b(digest_size=8)
    parts: list[object] = [numba.__version__, llvmlite.__version__, np.__version__, platform.python_version()]
    parts += [str(sources), platform.platform(), llvmlite.binding.get_host_cpu_name()]
    parts += [llvmlite.binding.get_host_cpu_features().flatten(), sorted((_OPTIONS | _LEAN_OPTIONS).items())]
    parts += [(name, getattr(_config, name, None)) for name in _NUMBA_SETTINGS]
    digest.update(repr(parts).encode())
    for path in sorted(sources.rglob("*")):  # data files too: kernels may hold them as constants
        if path.is_file() and path.suffix not in (".pyc", ".md") and "__pycache__" not in path.parts:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(sources).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


class _KernelCache(NullCache):
    """The kept machine code of one kernel: numba's own file format, in our folder, written under our lock."""

    def __init__(self, function: Callable[..., Any]):
        self._function = function
        self._inner: FunctionCache | None = None
        self._is_off = False

    @property
    def cache_path(self) -> str:
        return str(cache_folder())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        inner = self._opened()
        if inner is None:
            return None
        try:
            return inner.load_overload(sig, target_context)
        except Exception as error:  # a damaged file of any kind only means compiling again
            _log.debug("%s: unreadable in the kernel cache (%r), compiling.", self._function.__name__, error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        inner = self._opened()
        if inner is None or _fingerprint_now(_SOURCES) != _fingerprint():
            return  # a source was edited since it was imported; this must not pass for the new one
        try:
            with _lock(cache_folder()):
                _save(inner, sig, data)
        except (OSError, NotImplementedError) as error:
            _warn_unwritable(cache_folder(), str(error))
            self._is_off = True

    def _opened(self) -> FunctionCache | None:
        if self._inner is None and not self._is_off:
            folder = cache_folder()
            self._is_off = not _is_writable(folder)
            if not self._is_off:
                self._inner = _function_cache(self._function, folder)
        return None if self._is_off else self._inner


def _function_cache(function: Callable[..., Any], folder: Path) -> FunctionCache:
    """numba's cache of one function, placed in `folder`; numba's settings stay the user's."""
    wanted = {"CACHE_DIR": str(folder), "CACHE_LOCATOR_CLASSES": ""}
    before = {name: getattr(_config, name) for name in wanted if hasattr(_config, name)}
    try:
        for name in before:
            setattr(_config, name, wanted[name])
        return FunctionCache(function)
    finally:
        for name, value in before.items():
            setattr(_config, name, value)


def _save(inner: FunctionCache, sig: Any, data: Any) -> None:
    try:
        inner.save_overload(sig, data)
    except OSError:
        raise
    except Exception:  # a damaged index cannot be added to
        inner.flush()
        inner.save_overload(sig, data)


@functools.cache
def _is_writable(folder: Path) -> bool:
    """Makes the folder. False, and one warning, if it cannot be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / f".trial-{os.getpid()}"
        trial.write_bytes(b"")
        trial.unlink()
    except OSError as error:
        _warn_unwritable(folder, str(error))
        return False
    return True


@functools.cache
def _lock(folder: Path) -> FileLock:
    """One lock for the process, counted over its threads: numba lets only one of them compile."""
    return FileLock(folder.with_suffix(".lock"), thread_local=False)


@functools.cache
def _warn_unwritable(folder: Path, reason: str) -> None:
    _log.warning(_UNWRITABLE, folder, reason)


def _marker(folder: Path, family: str) -> Path:
    return folder / f"complete-{family}"


def _mark_complete(folder: Path, family: str) -> None:
    if _fingerprint_now(_SOURCES) != _fingerprint():
        return
    try:
        _marker(folder, family).touch()
    except OSError as error:
        _warn_unwritable(folder, str(error))


def _touch(folder: Path) -> None:
    """Notes that the folder is in use; in vain where others own it."""
    try:
        os.utime(folder)
    except OSError:
        _log.debug("%s is not ours to touch.", folder)


def _prune(folder: Path) -> None:
    """Remove the caches of other versions, all but the latest few."""
    others = [path for path in folder.parent.iterdir() if path != folder and _is_cache(path)]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[KEPT_FOLDERS:]:
        if time.time() - path.stat().st_mtime > KEPT_AT_LEAST_S:
            shutil.rmtree(path, ignore_errors=True)
            path.with_suffix(".lock").unlink(missing_ok=True)


def _is_cache(path: Path) -> bool:
    return path.is_dir() and len(path.name) == 16 and all(digit in "0123456789abcdef" for digit in path.name)
