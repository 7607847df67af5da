"""Which state and pair of the padded model belongs to each of the model with proxies."""

import numpy as np

from async_envs.tabular.exact.model import Model


def correspondence(with_proxies: Model, padded: Model) -> tuple[np.ndarray, np.ndarray]:
    """Drop õ_c from the states and ã_c from the joint actions.

    Args:
        with_proxies: labels ((s, ongoing), seen), joint actions of 2 N slots.
        padded: labels (s, ongoing), joint actions of N slots.

    Returns:
        state_of [X^] int64 and pair_of [P^] int64, indices into the padded model.

    Raises:
        ValueError: a state or pair has no counterpart; the models are of different tasks.
    """
    numbers = {label: x for x, label in enumerate(padded.states)}
    state_of = [numbers.get(label[0], -1) for label in with_proxies.states]  # type: ignore[index]
    real = with_proxies.joint_actions[:, : with_proxies.n_agents].tolist()
    rows = np.column_stack([padded.pair_state, padded.joint_actions]).tolist()
    pairs = {tuple(row): p for p, row in enumerate(rows)}
    owners = with_proxies.pair_state.tolist()
    pair_of = [pairs.get((state_of[x], *joint), -1) for x, joint in zip(owners, real)]
    for what, found in (("state", state_of), ("pair", pair_of)):
        if -1 in found:
            raise ValueError(f"correspondence: {what} {found.index(-1)} of the model with proxies has no "
                             "counterpart in the padded model. Give two models of the same task.")
    return np.array(state_of, np.int64), np.array(pair_of, np.int64)
