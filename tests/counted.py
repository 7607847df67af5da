"""What the tests of a session looked at, for the lines printed at its end; workers of pytest-xdist send theirs."""

from collections import defaultdict

COUNTED: defaultdict[str, set[str]] = defaultdict(set)  # kind -> names of what was looked at


def count(kind, name):
    """One more thing of a kind; the same name twice is one thing."""
    COUNTED[kind].add(name)


def lines(verbose=False):
    """What is printed, one line for each kind that was met; how far each recorded file is away if `verbose`."""
    found = {"parity": parity(), "traces": traces(), "tasks": tasks()}
    result = [line for kind, line in found.items() if COUNTED[kind]]
    return result + (parity_table() if verbose and COUNTED["parity"] else [])


def differences():
    """Largest absolute difference for each recorded (file, array); names are `file/array/difference`."""
    found: dict[tuple[str, str], float] = {}
    for name in COUNTED["parity"]:
        file, array, apart = name.split("/")
        found[file, array] = max(float(apart), found.get((file, array), 0.0))
    return found


def parity():
    """Recorded files and arrays that were compared."""
    compared = differences()
    files = sorted({file for file, _ in compared})
    return f"parity: {len(files)} files, {len(compared)} arrays compared: {', '.join(files)}"


def parity_table():
    """Markdown: for each recorded file, how far ours is away, in values and in gradients (or their norms)."""
    columns: defaultdict[str, dict[bool, list[float]]] = defaultdict(lambda: {False: [], True: []})
    for (file, array), apart in differences().items():
        columns[file][array.startswith("grad")].append(apart)
    rows = ["| file | arrays | largest difference, values | gradients |", "|---|---|---|---|"]
    for file, found in sorted(columns.items()):
        largest = [f"{max(apart):.0e}" if apart else "–" for apart in (found[False], found[True])]
        rows.append(f"| `{file}` | {sum(map(len, found.values()))} | {largest[0]} | {largest[1]} |")
    return rows


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
