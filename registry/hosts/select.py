"""Which host runs: the one that EPYMARL_HOST names, else the checkout of EPYMARL_HOME, else our own."""

import os
from functools import lru_cache
from typing import Mapping

from async_envs.core.errors import unknown_name
from registry.catalog import load
from registry.hosts.base import Host

HOSTS = {
    "embedded": "registry.hosts.embedded:Embedded",
    "upstream": "registry.hosts.upstream:Upstream",
    "pymarlzooplus": "registry.hosts.pymarlzooplus:Pymarlzooplus",
}


def chosen_name(environ: Mapping[str, str] | None = None) -> str:
    """The name of the host that the environment variables choose.

    Raises:
        ValueError: EPYMARL_HOST names no host; one line with the nearest names.
    """
    environ = os.environ if environ is None else environ
    name = environ.get("EPYMARL_HOST") or ("upstream" if environ.get("EPYMARL_HOME") else "embedded")
    if name not in HOSTS:
        raise ValueError(unknown_name("EPYMARL_HOST", "host", name, HOSTS))
    return name


def choose(name: str | None = None, home: str | os.PathLike[str] | None = None) -> Host:
    """The host called `name`, or the one that the environment variables choose.

    Args:
        name: a key of `HOSTS`.
        home: for *upstream*, the checkout's folder; None reads EPYMARL_HOME.

    Raises:
        ValueError: no such host, or it is not there (with what to do); one line.
    """
    name = name or chosen_name()
    if name != "upstream":
        return _built(name)
    found = home or os.environ.get("EPYMARL_HOME")
    return _built(name, os.path.abspath(os.path.expanduser(found)) if found else "")


@lru_cache(maxsize=None)
def _built(name: str, *where: str) -> Host:
    """One object for one host and process: its tables are the process's, and ours are put into them once."""
    host: Host = load(HOSTS[name])(*where)
    return host
