"""How many random tasks the property tests of a session tried; printed at its end."""

TRIED: set[bytes] = set()  # fingerprints of tasks whose two models were compared
ENUMERATED: set[bytes] = set()  # … whose deterministic joint policies were all looked at
POLICIES: list[int] = []  # deterministic joint policies of each of these


def summary() -> str:
    """One line, or nothing where no property test ran."""
    if not TRIED:
        return ""
    return (
        f"random tabular tasks: {len(TRIED)} different ones tried; in {len(ENUMERATED)} of them every "
        f"deterministic joint policy was enumerated ({sum(POLICIES)} policies)"
    )
