"""The compiler options of this family's kernels, on top of those of `core.compile`.

Handing a NamedTuple of arrays to a function makes numba count a reference to each of its arrays, and these
atomic counts took most of a step (it is several times slower with them). The kernels here allocate and keep
nothing, so they need no counts; and they are many and short, so they are put inside their callers.
"""

from typing import Any, Callable, TypeVar, cast

from async_envs.core.compile import kernel

_Function = TypeVar("_Function", bound=Callable[..., Any])


def lean_kernel(function: _Function) -> _Function:
    """`core.compile.kernel` without reference counts, placed inside its callers. It must not allocate."""
    compiled = cast(Any, kernel(function))
    if hasattr(compiled, "targetoptions"):  # not under NUMBA_DISABLE_JIT=1
        compiled.targetoptions |= {"_nrt": False, "forceinline": True}
    return cast(_Function, compiled)
