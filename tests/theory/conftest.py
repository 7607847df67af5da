"""Prints how many random tasks were tried."""

import pytest

from tests.theory import tally


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line below the results."""
    if tally.summary():
        terminalreporter.write_line(tally.summary())
