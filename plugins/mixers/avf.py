"""AVF's slots: one for each agent, holding the utility of the decision that it is carrying out.

    x_i = Q_i(decision step of i)[action taken there] where i executes, and Q_i(now) where it decides or is inactive
    q_tot = base(x_1, ..., x_N; state)

So there are no slots for the blank actions of executing agents. The state is the joint macro-state: for every
agent the state in which it decided, the present one where it decides or is inactive.

Source: Marchesini, Xiao, Amato, asynchronous value factorization (OpenReview, 2023 and 2024); no public code is
known, so this is our own reading of it.
"""

import torch
from torch import Tensor

from plugins.mixers.base import EMPTY, Extras, Mixer
from plugins.mixers.qmix import QMixer
from plugins.mixers.vdn import VDNMixer


class AvfMixer(Mixer):
    """`base` over the slots above. Parameters: `base.*`, as that mixer names them.

    The options are the keys of plugins/config/algs/avf_qmix.yaml without their prefix and are explained there.
    """

    def __init__(self, n_agents: int, state_dim: int, base: str, update: str, state: str, **base_options: int) -> None:
        super().__init__(f"avf_{base}", n_agents, state_dim)
        self.update = update
        self.joint_macro_state = state == "joint_macro"
        self.needs = frozenset({"q_proxy", "executing"} | ({"state_decision"} if self.joint_macro_state else set()))
        n_features = state_dim * (n_agents if self.joint_macro_state else 1)
        kind = {"vdn": VDNMixer, "qmix": QMixer}[base]
        self.base: Mixer = kind(n_agents, n_features, proxies=False, **base_options)

    def mix(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor:
        return self.base.mix(self.slots(q_taken, extras), self.macro_state(state, extras), EMPTY)

    def mix_openly(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor:
        return self.base.mix(self.slots(q_taken, extras, openly=True), self.macro_state(state, extras), EMPTY)

    def slots(self, q_taken: Tensor, extras: Extras, openly: bool = False) -> Tensor:
        """x [R, N]; executing agents learn through theirs (D0), do not (D1, but `openly`), or count nothing (D2)."""
        assert extras.q_proxy is not None and extras.executing is not None  # Mixer._check saw them
        carried = extras.q_proxy
        if self.update == "D1" and not openly:
            carried = carried.detach()
        elif self.update == "D2":
            carried = torch.zeros_like(carried)
        return torch.where(extras.executing, carried, q_taken)

    def macro_state(self, state: Tensor, extras: Extras) -> Tensor:
        """[R, N * S], or the state [R, S] itself."""
        if not self.joint_macro_state:
            return state
        assert extras.state_decision is not None and extras.executing is not None
        then = extras.state_decision
        return torch.where(extras.executing.unsqueeze(2), then, state.unsqueeze(1).expand_as(then)).flatten(1)
