"""Stands in for the standard library's `imp`, which Python 3.12 dropped: the one function that PyMARLzoo+ calls."""

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from types import ModuleType

__all__ = ["load_source"]


def load_source(name: str, path: str) -> ModuleType:
    """The module in the file `path`, executed and registered under `name`.

    Raises:
        OSError: there is no such file.
    """
    spec = spec_from_loader(name, SourceFileLoader(name, path))
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
