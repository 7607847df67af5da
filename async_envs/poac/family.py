"""POAC as the catalog knows it."""

from async_envs.core.options import Family, Option

FAMILY = Family(
    name="poac",
    variants=("1", "2", "3", "4", "5"),
    default_variant="1",
    options=(
        Option(
            "bot",
            str,
            None,
            "Who plays Blue; left out, the scenario decides.",
            choices=("KAI0", "KAI1", "KAI2"),
        ),
        Option(
            "speeds",
            str,
            "paper",
            "Cells a step of infantry, chariot, tank: paper is 0.2, 0.3, 0.5; original is 0.2, 1, 1.",
            choices=("paper", "original"),
        ),
        Option("guided", bool, None, "Whether guided shooting exists; left out, the scenario decides."),
        Option(
            "random_start",
            bool,
            False,
            "Shift the start rows of each side together by its own draw from -2, 0, 2.",
        ),
        Option(
            "patience",
            int,
            0,
            "Steps without sight after which KAI1 and KAI2 play KAI0 until they see somebody; 0 is never.",
            low=0,
            high=1_000_000,
        ),
        Option(
            "episode_limit", int, 600, "Steps after which an episode is truncated.", low=1, high=1_000_000
        ),
    ),
    entry="async_envs.poac.simulator:make",
    summary="War game of three against three on a hexagonal map, with hidden terrain and guided shooting.",
)
