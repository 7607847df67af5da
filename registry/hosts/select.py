"""Which host runs: the one that EPYMARL_HOST names, else the checkout of EPYMARL_HOME, else our own."""

import os
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
    host: Host = load(HOSTS[name])(home) if name == "upstream" else load(HOSTS[name])()
    return host
