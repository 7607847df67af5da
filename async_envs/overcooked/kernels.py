"""The rules of Overcooked: one episode per function, `step_batch` as the table of contents. See README.md for
the rules.
"""

from async_envs.core.compile import kernel, lean_kernel
from async_envs.core.simulator import CONTINUE, FIRST_ACTION
from async_envs.overcooked.actions import act_all
from async_envs.overcooked.constants import CHOP, N_FOODS, N_KNIVES, N_PLATES, NOTHING, STAY, STRIKES
from async_envs.overcooked.macros import ENDS, ends_after, is_useless, plan
from async_envs.overcooked.memory import know_all, remember
from async_envs.overcooked.observation import observe_remembered, observe_seen, observe_state
from async_envs.overcooked.types import unflatten


@lean_kernel
def step_batch(actions, *fields):
    """One step of every running episode, in the order of the rule book. `fields`: a world, flattened.

    Writes: everything but the tables.
    """
    kitchen, rules, things, memory, plans, search, tally, out = unflatten(fields)
    for b in range(actions.shape[0]):
        out.reward[b] = 0.0
        if out.terminated[b] or out.truncated[b]:
            continue
        for i in range(actions.shape[1]):
            decide(kitchen, rules, things, memory, plans, search, actions, b, i)
        chops, right, wrong = act_all(kitchen, rules, things, plans, b)

        out.t[b] += 1
        for i in range(actions.shape[1]):
            remember(kitchen, things, memory, b, i)
            if plans.running[b, i] and ends_after(kitchen, things, memory, b, i, plans.macro[b, i]):
                plans.running[b, i] = 0
        settle(rules, tally, out, b, chops, right, wrong)
        for i in range(actions.shape[1]):
            show_agent(kitchen, rules, things, memory, plans, search, out, b, i)
        observe_state(kitchen, rules, things, memory, plans, out, b)


@lean_kernel
def begin_batch(where, *fields):
    """Start the episodes of the mask `where`. `fields`: a world, flattened.

    Writes: everything but the tables and the flags.
    """
    kitchen, rules, things, memory, plans, search, tally, out = unflatten(fields)
    for b in range(where.shape[0]):
        if not where[b]:
            continue
        lay_out(kitchen, things, b)
        know_all(things, memory, b)
        tally.chops[b] = 0
        tally.wrong[b] = 0
        for i in range(plans.macro.shape[1]):
            plans.macro[b, i] = 0
            plans.running[b, i] = 0
            plans.strikes[b, i] = 0
            plans.moves[b, i] = STAY
            remember(kitchen, things, memory, b, i)
            show_agent(kitchen, rules, things, memory, plans, search, out, b, i)
        observe_state(kitchen, rules, things, memory, plans, out, b)


@lean_kernel
def lay_out(kitchen, things, b):
    """Everything at home, nothing cut, hands, knives and plates empty. Writes: things."""
    for cell in range(kitchen.start.shape[0]):
        things.cells[b, cell] = kitchen.start[cell]
    for e in range(kitchen.homes.shape[0]):
        things.places[b, e] = kitchen.homes[e]
    for food in range(N_FOODS):
        things.cuts[b, food] = 0
    for i in range(things.hands.shape[1]):
        things.hands[b, i] = NOTHING
    for knife in range(N_KNIVES):
        things.boards[b, knife] = NOTHING
    for plate in range(N_PLATES):
        things.plates[b, plate] = 0


@lean_kernel
def decide(kitchen, rules, things, memory, plans, search, actions, b, i):
    """Agent `i` takes up its new action, or goes on, and makes one primitive action of it. Writes: plans."""
    going_on, given = plans.macro[b, i], actions[b, i] - FIRST_ACTION
    macro = going_on if plans.running[b, i] else given
    plans.macro[b, i] = macro
    if not rules.is_macro:
        plans.moves[b, i] = macro
        return
    planned = plan(kitchen, rules, things, memory, plans, search, b, i, macro)
    plans.running[b, i] = planned < ENDS
    plans.moves[b, i] = planned % ENDS
    if macro == CHOP and plans.moves[b, i] != STAY:
        plans.strikes[b, i] = (plans.strikes[b, i] + 1) % STRIKES


@lean_kernel
def settle(rules, tally, out, b, chops, right, wrong):
    """Reward and end of the step, metrics at the end of the episode. Writes: out, tally."""
    out.reward[b] = (
        rules.reward_step + rules.reward_chop * chops + rules.reward_delivery * right + rules.reward_wrong * wrong
    )
    tally.chops[b] += chops
    tally.wrong[b] += wrong
    out.terminated[b] = right > 0
    out.truncated[b] = right == 0 and out.t[b] >= rules.episode_limit
    if out.terminated[b] or out.truncated[b]:
        out.metrics[0, b] = right > 0
        out.metrics[1, b] = tally.chops[b]
        out.metrics[2, b] = tally.wrong[b]


@lean_kernel
def show_agent(kitchen, rules, things, memory, plans, search, out, b, i):
    """Availability and observation of agent `i`; what an executing agent sees stays as it was.

    Writes: out.avail_actions, out.obs.
    """
    avail = out.avail_actions[b, i]
    is_running = plans.running[b, i]
    avail[CONTINUE] = is_running
    for action in range(FIRST_ACTION, avail.shape[0]):
        avail[action] = 1 - is_running
    if is_running:
        return
    if not rules.is_macro:
        observe_remembered(kitchen, rules, memory, out.obs, b, i)
        return
    observe_seen(kitchen, rules, things, out.obs, b, i)
    if rules.is_useful:
        leave_out_useless(kitchen, rules, things, memory, plans, search, avail, b, i)


@kernel
def leave_out_useless(kitchen, rules, things, memory, plans, search, avail, b, i):
    """Take from what agent `i` may choose the macros that would end at once without effect.

    Compiled apart from its callers, which would take much longer to compile with it. Writes: avail, search.
    """
    for macro in range(avail.shape[0] - FIRST_ACTION):
        planned = plan(kitchen, rules, things, memory, plans, search, b, i, macro)
        if is_useless(kitchen, things, b, i, macro, planned):
            avail[FIRST_ACTION + macro] = 0
