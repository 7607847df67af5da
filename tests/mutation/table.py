"""The mutation table of docs/theory.md."""

from pathlib import Path
from typing import Sequence

from tests.mutation.check import Result

__all__ = ["BEGIN", "END", "markdown", "write_between_markers"]

BEGIN, END = "<!-- mutants: begin -->", "<!-- mutants: end -->"
NO_MARKERS = "{path}: has no lines '" + BEGIN + "' and '" + END + "' in this order. Add them where the table goes."


def markdown(results: Sequence[Result], n_passed: int, seconds: float) -> str:
    """A line about the unchanged copy, then one row for each mutant."""
    lines = [
        f"{len(results)} mutants, all caught. The copy without a change went through the same script and passed "
        f"all {n_passed} tests. The whole check took {seconds / 60:.0f} minutes.",
        "",
        "| Mutant | File | In this mutant | Witness: what changes | Caught by | s |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        mutant = result.mutant
        cells = (
            f"`{mutant.name}`", f"`{mutant.file}`", mutant.breaks, f"`{mutant.witness}`: {result.witness}",
            _linked(result.test), f"{result.seconds:.0f}",
        )  # fmt: skip
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def write_between_markers(path: Path, text: str) -> None:
    """Put `text` between the two marker lines of the page.

    Raises:
        ValueError: the page lacks them.
    """
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(NO_MARKERS.format(path=path))
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _linked(test: str) -> str:
    """The page's way to name a test: `file::name`, from the tests' folder; then its parameters."""
    name, bracket, parameters = test.removeprefix("tests/").partition("[")
    return f"`{name}`" + (f" [{parameters}" if bracket else "")
