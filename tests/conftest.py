"""Settings that every test shares."""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests import counted

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dev", max_examples=25, **_COMMON)
settings.register_profile("ci", max_examples=50, derandomize=True, **_COMMON)
settings.register_profile("nightly", max_examples=5000, **_COMMON)
settings.register_profile(  # many runs, each to find one failure, whatever it looks like
    "mutation", max_examples=10, derandomize=True, phases=(Phase.explicit, Phase.generate), **_COMMON
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist sends what its tests looked at."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["counted"] = {kind: sorted(names) for kind, names in counted.COUNTED.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object | None) -> None:
    """Take what a worker sent; one that crashed sent nothing."""
    for kind, names in getattr(node, "workeroutput", {}).get("counted", {}).items():
        counted.COUNTED[kind].update(names)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests looked at, below the results."""
    for line in counted.lines(verbose=terminalreporter.verbosity > 0):
        terminalreporter.write_line(line)
