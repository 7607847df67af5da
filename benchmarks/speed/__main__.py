"""Run the speed benchmarks and print one table: `python -m benchmarks.speed [pytest arguments]`.

Peers run in the same process and the same minutes as ours: with EPYMARL_HOME naming an EPyMARL checkout the
learner and the runners are compared with it; without, those rows are left out and the reason is printed.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, Iterable

FOLDER = Path(__file__).parent
PACKAGES = ("torch", "numba", "numpy")


def machine() -> str:
    """What the figures were measured on, in one line."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in _lines("/proc/cpuinfo")
            if line.startswith("model name")
        ),
        platform.processor() or platform.machine(),
    )
    commit = subprocess.run(
        ["git", "-C", str(FOLDER), "describe", "--always", "--dirty"], capture_output=True, text=True
    ).stdout.strip()
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    python = platform.python_version()
    return f"{model}, {os.cpu_count()} cores; Python {python}, {packages}; commit {commit or 'unknown'}"


def _lines(path: str) -> Iterable[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return ()


def figure(value: Any) -> str:
    """A number for people: 1,234,567 or 3.14."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def table(report: dict[str, Any]) -> str:
    """One row a benchmark: median time of a round, and what it says of itself."""
    rows = []
    for benchmark in report["benchmarks"]:
        name = benchmark["fullname"].split("/")[-1].replace("::", " ").removeprefix("test_")
        told = ", ".join(f"{key} {figure(value)}" for key, value in benchmark["extra_info"].items())
        median_ms = benchmark["stats"]["median"] * 1e3
        rows.append((name, f"{median_ms:,.2f} ms", str(benchmark["stats"]["rounds"]), told))
    header = ("benchmark", "median", "rounds", "figures")
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(3)]
    return "\n".join(
        "  ".join((row[0].ljust(widths[0]), row[1].rjust(widths[1]), row[2].rjust(widths[2]), row[3]))
        for row in (header, *rows)
    )


def main(arguments: list[str]) -> int:
    """Run pytest-benchmark on this folder, print the table, return pytest's status."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        status = subprocess.run(
            [
                sys.executable, "-m", "pytest", str(FOLDER), "-q", "-rs", "--benchmark-only",
                "--benchmark-columns=median", f"--benchmark-json={path}", *arguments,
            ],
            env={"OMP_NUM_THREADS": "1", **os.environ},
        ).returncode  # fmt: skip
        if path.exists() and path.stat().st_size:
            sys.stdout.write(f"\n{machine()}\n\n{table(json.loads(path.read_text()))}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
