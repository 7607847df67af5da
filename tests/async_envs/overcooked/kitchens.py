"""Hypothesis strategies: kitchens of one's own, sets of options."""

from hypothesis import assume
from hypothesis import strategies as st

from async_envs.overcooked.maps import check_layout

FIXED = "TLOPPKKD"


@st.composite
def layouts(draw, n_agents=3, recipe=7):
    """A valid layout: a closed rectangle, some counters inside, fixtures anywhere, agents on the floor."""
    n_rows, n_columns = draw(st.integers(4, 8)), draw(st.integers(5, 9))
    edge = {(r, c) for r in range(n_rows) for c in range(n_columns)
            if r in (0, n_rows - 1) or c in (0, n_columns - 1)}  # fmt: skip
    inner = sorted({(r, c) for r in range(n_rows) for c in range(n_columns)} - edge)
    blocks = set(draw(st.lists(st.sampled_from(inner), max_size=len(inner) // 3, unique=True)))
    floor = [cell for cell in inner if cell not in blocks]
    starts = draw(st.permutations(floor))[:n_agents]
    assume(len(starts) == n_agents)
    useful = sorted(
        (r, c) for r, c in edge | blocks if {(r, c + 1), (r + 1, c), (r, c - 1), (r - 1, c)} & set(floor)
    )
    assume(len(useful) >= len(FIXED))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(useful) - len(FIXED)))
        fixtures = useful[at : at + len(FIXED)]  # side by side
        symbols = "KKDTLOPP"
    else:
        fixtures, symbols = draw(st.permutations(useful))[: len(FIXED)], FIXED
    drawn = dict.fromkeys(edge | blocks, "#") | dict.fromkeys(floor, ".")
    drawn |= dict(zip(fixtures, symbols)) | {cell: str(k + 1) for k, cell in enumerate(starts)}
    lines = ["".join(drawn[r, c] for c in range(n_columns)) for r in range(n_rows)]
    try:
        check_layout("drawn", lines, n_agents, recipe)
    except ValueError:
        assume(False)
    return lines


REWARDS = st.sampled_from([-5.0, -0.5, 0.0, 0.25, 1.0, 10.0, 200.0])
OPTIONS = st.fixed_dictionaries(
    {
        "n_agents": st.sampled_from([2, 3]),
        "task": st.integers(0, 6),
        "obs_radius": st.integers(0, 4),
        "actions": st.sampled_from(["macro", "macro", "macro", "primitive"]),
        "episode_limit": st.integers(1, 200),
    },
    optional={name: REWARDS for name in ("reward_chop", "reward_delivery", "reward_wrong", "reward_step")},
)
