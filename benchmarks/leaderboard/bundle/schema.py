"""The form of every document of a bundle: `schemas/*.json`, checked with jsonschema."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.leaderboard.bundle.refusal import Refused, harmless

__all__ = ["check_form", "form_reasons"]

SCHEMAS = Path(__file__).resolve().parent / "schemas"

NOT_FORM = "{where}: {at}: {error}."
MOST_OF_ONE = 5  # reasons told about one document


@lru_cache(maxsize=None)
def _validator(kind: str) -> Any:
    from jsonschema import Draft202012Validator

    schema = json.loads((SCHEMAS / f"{kind}.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema)


def form_reasons(kind: str, value: Any, where: str) -> list[str]:
    """Why `value` does not have the form of `schemas/<kind>.json`; empty if it has."""
    reasons = []
    for error in _validator(kind).iter_errors(value):
        at = error.json_path.removeprefix("$").removeprefix(".") or "the whole of it"
        message = f"{harmless(error.message, 240)} ({error.validator})"
        reasons.append(NOT_FORM.format(where=where, at=harmless(at, 80), error=message))
        if len(reasons) == MOST_OF_ONE:
            break
    return reasons


def check_form(kind: str, value: Any, where: str) -> None:
    """Refuse what does not have the form of `schemas/<kind>.json`.

    Raises:
        Refused: one line for each place.
    """
    Refused.unless_empty(form_reasons(kind, value, where))
