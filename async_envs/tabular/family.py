"""The tabular tasks as the catalog knows them."""

from async_envs.core.options import Family, Option

# Variant -> the options that are for it alone; the other variants have none.
OPTIONS_OF = {"payoff": ("a", "b", "shown"), "file": ("file",)}

FAMILY = Family(
    name="tabular",
    variants=("payoff", "climbing", "relay", "file"),
    default_variant="payoff",
    options=(
        Option("a", float, 1.0, "Of payoff: the value of action a.", low=-1_000_000, high=1_000_000),
        Option("b", float, 2.0, "Of payoff: the value of action b.", low=-1_000_000, high=1_000_000),
        Option(
            "shown", bool, False, "Of payoff: whether the state and the column player see the row's choice."
        ),
        Option("file", str, None, "Of file, which needs it: the path of a task in JSON or NPZ."),
    ),
    entry="async_envs.tabular.simulator:make",
    summary="Small games given as arrays, with exact solutions; async:tabular-file plays your own.",
)
