"""Overcooked as the catalog knows it."""

from dataclasses import dataclass
from typing import Any

from async_envs.core.errors import unknown_name
from async_envs.core.options import Family, Option
from async_envs.overcooked.dishes import DISHES, SALAD


@dataclass(frozen=True)
class DishOption(Option):
    """A dish, by its number or its name (with or without the word salad); checked to its number."""

    def check(self, where: str, value: Any) -> int:
        """The number of the dish.

        Raises:
            ValueError: no such dish; one line.
        """
        if type(value) is int and 0 <= value < len(DISHES):
            return value
        if isinstance(value, str):
            if value.isdecimal() and int(value) < len(DISHES):
                return int(value)
            if value.removesuffix(SALAD) in DISHES:
                return DISHES.index(value.removesuffix(SALAD))
        names = [str(number) for number in range(len(DISHES))] + [dish + SALAD for dish in DISHES]
        raise ValueError(unknown_name(where, self.name, value, names))

    def accepted(self) -> str:
        """The numbers and names."""
        return ", ".join(f"{number} {dish}{SALAD}" for number, dish in enumerate(DISHES))


_MOST = 1_000_000  # of a reward, either sign


def _reward(name: str, default: float, help: str) -> Option:
    return Option(name, float, default, help, low=-_MOST, high=_MOST)


FAMILY = Family(
    name="overcooked",
    variants=("A", "B", "C"),
    default_variant="A",
    options=(
        Option("n_agents", int, 3, "Cooks; with 2 the start cell 3 is plain floor.", choices=(2, 3)),
        Option("size", int, 7, "Cells along a side of the map.", choices=(7, 9)),
        DishOption("task", int, 6, "The dish, by its number or its name."),
        Option(
            "obs_radius", int, 2, "How far a cook sees, in cells along each axis; 0 is everything.", low=0, high=99
        ),
        _reward("reward_chop", 10.0, "Reward of each third cut of a food that the dish needs."),
        _reward("reward_delivery", 200.0, "Reward of the right delivery, which ends the episode."),
        _reward("reward_wrong", -5.0, "Reward of each wrong delivery."),
        _reward("reward_step", -0.1, "Reward of every step."),
        Option("actions", str, "macro", "What a cook chooses.", choices=("macro", "primitive")),
        Option(
            "masks",
            str,
            "upstream",
            "upstream offers a deciding cook every macro-action; useful leaves out those that are certain to end "
            "at once without effect.",
            choices=("upstream", "useful"),
        ),
        Option("layout", str, None, "A text file with a kitchen of your own, in place of the map."),
        Option("episode_limit", int, 200, "Steps after which an episode is truncated.", low=1, high=1_000_000),
    ),
    entry="async_envs.overcooked.simulator:make",
    summary="Cooks with macro-actions chop, plate and deliver a salad, each seeing only a part of the kitchen.",
)
