"""The three hosts, one after another; those that are not there are skipped with the reason."""

import multiprocessing
import os
from typing import Iterator

import pytest

from registry.hosts import select
from registry.hosts.base import Host

HOST_PARAMS = [
    pytest.param("embedded"),
    pytest.param("upstream", marks=pytest.mark.upstream),
    pytest.param("pymarlzooplus"),
]


def host_or_skip(name: str) -> Host:
    """The host called `name`, loaded."""
    if name == "upstream" and not os.environ.get("EPYMARL_HOME"):
        pytest.skip("EPYMARL_HOME is not set: no EPyMARL checkout to test with")
    try:
        host = select.choose(name)
    except ValueError as error:
        if name == "pymarlzooplus":
            pytest.skip(str(error))
        raise
    host.parts()
    return host


@pytest.fixture(params=HOST_PARAMS)
def host(request: pytest.FixtureRequest) -> Host:
    """Each host in turn."""
    return host_or_skip(request.param)


@pytest.fixture
def start_method() -> Iterator[None]:
    """Forgets the start method of processes that a host may set for the whole process."""
    yield
    multiprocessing.set_start_method(None, force=True)
