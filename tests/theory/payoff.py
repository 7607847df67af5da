"""The two-player game of the paper's Figure 9 as stored episodes, one for each joint choice.

The row chooses a or b at step 0, which takes two steps; the column can only wait. At step 1 the column
chooses a or b while the row executes; the team gets the product of the two values and the game is over.
"""

import itertools

import torch

WAIT = 4  # the column's only action at step 0
CHOICES = (2, 3)  # the actions that play a and b, after noop and continue
JOINT = tuple(itertools.product((0, 1), repeat=2))  # (row's, column's) choice of each episode
N_AGENTS, N_ACTIONS, N_FEATURES = 2, 5, 5


def episodes(
    a: float, b: float, shown_to: tuple[str, ...] = (), dtype: torch.dtype = torch.float64
) -> dict[str, torch.Tensor]:
    """The four episodes, stored as the host stores them: B = 4, T = 2.

    Observations and state show the step, which is all there is to see; `shown_to` may add "obs" (the
    column's observation of step 1 shows the row's choice) and "state" (so does the state).
    """
    values = (a, b)
    obs = torch.zeros(4, 3, N_AGENTS, N_FEATURES, dtype=dtype)
    state = torch.zeros(4, 3, N_FEATURES, dtype=dtype)
    avail = torch.zeros(4, 3, N_AGENTS, N_ACTIONS, dtype=torch.int64)
    actions = torch.zeros(4, 3, N_AGENTS, 1, dtype=torch.int64)
    reward = torch.zeros(4, 3, 1, dtype=dtype)
    terminated = torch.zeros(4, 3, 1, dtype=torch.uint8)
    for t in range(3):
        obs[:, t, :, t] = 1.0
        state[:, t, t] = 1.0
    avail[:, 0, 0, list(CHOICES)] = 1
    avail[:, 0, 1, WAIT] = 1
    avail[:, 1, 0, 1] = 1
    avail[:, 1, 1, list(CHOICES)] = 1
    avail[:, 2, :, 0] = 1
    actions[:, 0, 1] = WAIT
    actions[:, 1, 0] = 1
    terminated[:, 1] = 1
    for episode, (row, column) in enumerate(JOINT):
        actions[episode, 0, 0] = CHOICES[row]
        actions[episode, 1, 1] = CHOICES[column]
        reward[episode, 1] = values[row] * values[column]
        if "obs" in shown_to:
            obs[episode, 1, 1, 3 + row] = 1.0
        if "state" in shown_to:
            state[episode, 1, 3 + row] = 1.0
    return {
        "obs": obs,
        "state": state,
        "avail_actions": avail,
        "actions": actions,
        "reward": reward,
        "terminated": terminated,
        "filled": torch.ones(4, 3, 1, dtype=torch.int64),
    }
