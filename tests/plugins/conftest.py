"""Shared by the tests of plugins: which recorded values were compared is said at the end."""

from tests.plugins import parity


def pytest_terminal_summary(terminalreporter):
    """One line: files and arrays that the parity tests compared."""
    if parity.COMPARED:
        arrays = sum(len(names) for names in parity.COMPARED.values())
        terminalreporter.write_line(
            f"parity: {len(parity.COMPARED)} files of {parity.FOLDER}, "
            f"{arrays} arrays compared to {parity.TOLERANCE:g}: "
            + ", ".join(sorted(parity.COMPARED))
        )
