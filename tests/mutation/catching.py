"""A pytest plugin for the mutation check: stops at the first test that an assertion fails in, and says which.

    python -m pytest -p tests.mutation.catching --caught-report FILE.json PATHS

With `--witness NAME --witness-file FILE.npz` it first writes what that witness computes here.

Only a failed assertion in a test's body catches a mutant. Any other exception (a shape, a type, an import, a
fixture) is counted, is no catch, and the run goes on; more than MOST_ERRORS of them stop it.
"""

import json
from pathlib import Path
from typing import Any, Generator

import pytest

import plugins

MOST_ERRORS = 100


def is_assertion(error: BaseException) -> bool:
    """Whether nothing but assertions failed; ContractBroken is one."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_assertion(each) for each in error.exceptions)
    return isinstance(error, AssertionError)


class Catching:
    """Counts what the tests of this session did."""

    def __init__(self, session: pytest.Session, report: Path):
        self.session = session
        self.report = report
        self.passed = 0
        self.caught: dict[str, str] | None = None
        self.errors: list[dict[str, str]] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Look at each phase of each test."""
        report = yield
        if report.passed and report.when == "call":
            self.passed += 1
        elif report.failed and call.excinfo is not None:
            error = call.excinfo.value
            words = (str(error).strip() or "assert").splitlines()[0]
            said = {"test": item.nodeid, "error": type(error).__name__, "words": words}
            if report.when == "call" and is_assertion(error):
                self.caught = said
                self.session.shouldfail = "caught"
            else:
                self.errors.append(said | {"phase": str(report.when)})
                if len(self.errors) > MOST_ERRORS:
                    self.session.shouldfail = "too many errors that are no assertions"
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that cannot be collected catches nothing."""
        if report.failed:
            self.errors.append(
                {"test": report.nodeid, "error": "collection", "words": report.longreprtext[-300:], "phase": "collect"}
            )

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write what was seen."""
        seen: dict[str, Any] = {
            "exit": int(exitstatus), "passed": self.passed, "caught": self.caught, "errors": self.errors,
            "code": str(Path(plugins.__file__).parent),
        }  # fmt: skip
        self.report.write_text(json.dumps(seen))


def pytest_addoption(parser: pytest.Parser) -> None:
    """What to write, and where."""
    parser.addoption("--caught-report", type=Path, help="JSON file for what was caught")
    parser.addoption("--witness", help="name of a witness to compute before the tests")
    parser.addoption("--witness-file", type=Path, help="NPZ file for what the witness computes")


def pytest_sessionstart(session: pytest.Session) -> None:
    """The witness first; then watch this session, if a report is asked for."""
    name, file = session.config.getoption("--witness"), session.config.getoption("--witness-file")
    if name is not None:
        from tests.mutation.witnesses import save  # everything of ours is imported there

        save(file, [name])
    path = session.config.getoption("--caught-report")
    if path is not None:
        session.config.pluginmanager.register(Catching(session, path), "mutation-catching")
