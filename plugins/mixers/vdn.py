"""VDN and VDN(A): the sum of the utilities.

Source: Sunehag et al., Value-Decomposition Networks, arXiv:1706.05296v1.
"""

from torch import Tensor

from plugins.mixers.base import Extras, Mixer, slot_utilities


class VDNMixer(Mixer):
    """q_tot = sum_i q_i, and with `proxies` + sum_j q_proxy_j over the executing agents' proxies."""

    def __init__(self, n_agents: int, state_dim: int, proxies: bool) -> None:
        super().__init__("vdn_a" if proxies else "vdn", n_agents, state_dim)
        self.proxies = proxies
        self.needs = frozenset({"q_proxy", "executing"}) if proxies else frozenset()

    def mix(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor:
        return slot_utilities(q_taken, extras, self.proxies).sum(dim=1, keepdim=True)
