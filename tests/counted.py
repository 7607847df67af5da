"""What the tests of a session looked at, for the lines printed at its end; workers of pytest-xdist send theirs."""

from collections import defaultdict

COUNTED: defaultdict[str, set[str]] = defaultdict(set)  # kind -> names of what was looked at


def count(kind, name):
    """One more thing of a kind; the same name twice is one thing."""
    COUNTED[kind].add(name)


def lines():
    """What is printed, one line for each kind that was met."""
    found = {"parity": parity(), "traces": traces(), "tasks": tasks()}
    return [line for kind, line in found.items() if COUNTED[kind]]


def parity():
    """Recorded files and arrays that were compared."""
    files = sorted({name.split("/")[0] for name in COUNTED["parity"]})
    return f"parity: {len(files)} files, {len(COUNTED['parity'])} arrays compared: {', '.join(files)}"


def traces():
    """Recorded episodes that were replayed; names are `file/episodes/steps`."""
    files = [name.split("/") for name in COUNTED["traces"]]
    n_episodes, n_steps = (sum(int(file[i]) for file in files) for i in (1, 2))
    return f"traces: {len(files)} files, {n_episodes} episodes, {n_steps} steps replayed"


def tasks():
    """Random tabular tasks; those of "enumerated" are named `fingerprint/policies`."""
    policies = sum(int(name.split("/")[1]) for name in COUNTED["enumerated"])
    return (
        f"random tabular tasks: {len(COUNTED['tasks'])} different ones tried; in {len(COUNTED['enumerated'])} of "
        f"them every deterministic joint policy was enumerated ({policies} policies)"
    )
