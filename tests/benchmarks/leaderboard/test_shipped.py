"""Results that ship: this version accepts their bundles, and their reports are what it makes of them.

An edit of a world's rules, of a protocol or of an algorithm's settings fails here; docs/bundles.md, "Environment
hashes", says what to do.
"""

import json
import zipfile
from pathlib import Path

import pytest

from benchmarks.leaderboard.bundle.board import read_board
from benchmarks.leaderboard.bundle.claims import differences
from benchmarks.leaderboard.bundle.expected import IMPLIED
from benchmarks.leaderboard.bundle.verification import HIGHEST, table, verify
from benchmarks.leaderboard.report.data import COLUMNS, report_data
from tests.test_packaging import OF_A_MACHINE

RESULTS = Path(__file__).resolve().parents[3] / "benchmarks" / "results"
BOARDS = sorted(found.parent for found in RESULTS.glob("*/board.json"))
BUNDLES = sorted(RESULTS.glob("*/submissions/*/bundle.zip"))

pytestmark = pytest.mark.slow


def of_place(path: Path) -> str:
    """Where it lies below the shipped results."""
    return str(path.relative_to(RESULTS))


@pytest.mark.parametrize("bundle", BUNDLES, ids=of_place)
def test_every_recorded_action_of_a_shipped_bundle_gives_its_recorded_values(bundle: Path) -> None:
    found = verify(bundle, highest=3)
    assert found.tier == 3, table(found)


@pytest.mark.parametrize("bundle", BUNDLES, ids=of_place)
def test_a_shipped_bundles_networks_were_evaluated_again_before_it_shipped(bundle: Path) -> None:
    recorded = json.loads((bundle.parent / "verification.json").read_text(encoding="utf-8"))
    assert recorded["digest"] == verify(bundle, highest=1).digest
    assert recorded["tier"] == HIGHEST


@pytest.mark.parametrize("bundle", BUNDLES, ids=of_place)
def test_a_shipped_bundle_tells_no_path_of_a_machine(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        texts = {name: archive.read(name) for name in archive.namelist() if ".json" in name}
    assert len(texts) > 2
    assert [name for name, text in texts.items() if OF_A_MACHINE.search(text.decode())] == []


@pytest.mark.parametrize("board", BOARDS, ids=of_place)
def test_a_shipped_report_holds_the_numbers_of_its_bundles(board: Path) -> None:
    shipped = json.loads((board / "report" / "report.json").read_text(encoding="utf-8"))
    found = read_board(board, COLUMNS)
    made = json.loads(json.dumps(report_data(found.results, None, found.tiers, found.notes)))
    assert differences(shipped, made) == []


def test_settings_that_came_or_went_are_listed_with_a_reason() -> None:
    listed = json.loads(IMPLIED.read_text(encoding="utf-8"))
    assert all({"value", "why"} == set(entry) and entry["why"] for entry in listed.values())
