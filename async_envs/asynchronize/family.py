"""Tasks of others, made asynchronous, as the catalog knows them."""

import ast
from dataclasses import dataclass
from typing import Any, Mapping

from async_envs.core.options import Family, Option, StepsOption

RULES = ("index_mod3", "all_one")
MODES = ("repeat", "end", "start")


@dataclass(frozen=True)
class ArgumentsOption(Option):
    """Arguments as Python writes them in a call, or a mapping; checked to their text."""

    def check(self, where: str, value: Any) -> Any:
        """The text.

        Raises:
            ValueError: it cannot be read; one line.
        """
        if isinstance(value, Mapping):
            value = ", ".join(f"{name}={given!r}" for name, given in value.items())
        try:
            arguments(value)
        except (TypeError, ValueError) as error:
            raise ValueError(self.refusal(where, value)) from error
        return value

    def accepted(self) -> str:
        """The form, by an example."""
        return "names with values as in a call of Python, e.g. 'N=2, max_cycles=50'"


def arguments(text: str) -> dict[str, Any]:
    """What stands in the brackets of a call, "N=2, shape=(8, 8)": names with literal values.

    Raises:
        ValueError: anything else; nothing of it is run.
    """
    try:
        call = ast.parse(f"f({text})", mode="eval").body
    except SyntaxError as error:
        raise ValueError(str(error)) from error
    if not isinstance(call, ast.Call) or call.args or not isinstance(call.func, ast.Name):
        raise ValueError("there is a value without a name")
    found: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg in found:
            raise ValueError("a name is missing, or there twice")
        found[keyword.arg] = ast.literal_eval(keyword.value)
    return found


OPTIONS = (
    StepsOption(
        "durations", str, "index_mod3",
        "How many steps the actions of each agent take: a number for each, one for all, or index_mod3 (1, 2, 3, 1, …).",
        rules=RULES,
    ),
    StepsOption(
        "action_durations", str, None, "A number for each action of the task, by which the agent's is multiplied."
    ),
    Option("jitter", int, 0, "Each action takes 0 to so many steps longer, at random.", low=0, high=100),
    Option(
        "mode", str, "repeat",
        "What the task is told meanwhile: the action at each step, or idle until its last step (end) or after its "
        "first (start).",
        choices=MODES,
    ),
    Option("idle", int, None, "The task's action that does nothing, counted from 0; end and start need it.", low=0),
    Option("reward", str, "sum", "The team's reward of the agents' own.", choices=("sum", "mean")),
    Option(
        "scale", str, "raw",
        "Observations as the task gives them, or features with two bounds moved to -1 … 1 (bounds).",
        choices=("raw", "bounds"),
    ),
    Option(
        "async_features", bool, True, "Append own steps left to observations, those of all agents to the state."
    ),
    Option("episode_limit", int, None, "Steps after which an episode ends; none is the task's.", low=1, high=10**6),
    Option(
        "remake", bool, True, "Make the task anew for each episode, as in many its seed does not decide everything."
    ),
    ArgumentsOption("kwargs", str, None, "What the task is made with."),
)  # fmt: skip

PETTINGZOO = Family(
    name="pettingzoo",
    variants=("example",),
    default_variant="example",
    options=OPTIONS,
    entry="async_envs.asynchronize.making:make_pettingzoo",
    summary="Any parallel task of PettingZoo: async:pettingzoo-<module>, as in async:pettingzoo-mpe2.simple_spread_v3.",
    open_variants=True,
)

GYMNASIUM = Family(
    name="gymnasium",
    variants=("CartPole-v1",),
    default_variant="CartPole-v1",
    options=OPTIONS,
    entry="async_envs.asynchronize.making:make_gymnasium",
    summary="Any task of Gymnasium with numbered actions, of one agent or a team: async:gymnasium-<id>.",
    open_variants=True,
)
