"""The mutants: small wrong versions of VSP, MVD and their baselines, each a fault that somebody could make, one change
of text each.

The text `old` stands exactly once in the file. `breaks` completes the sentence "In this mutant, ...".
"""

from typing import NamedTuple

__all__ = ["MUTANTS", "Mutant"]


class Mutant(NamedTuple):
    """One change of one file."""

    name: str
    file: str
    old: str
    new: str
    breaks: str
    witness: str  # of tests.mutation.witnesses: what is computed in both trees to see that something changes
    suite: tuple[str, ...] = ()  # the test files that are run; none: all that reach the file, theorems first


INDICES = "plugins/vsp/indices.py"
HISTORIES = "plugins/vsp/histories.py"
ENVIRONMENT = "plugins/vsp/environment.py"
LEARNER = "plugins/learners/value_learner.py"
SIDES = "plugins/learners/sides.py"
BASE = "plugins/mixers/base.py"
MVD = "plugins/mixers/mvd.py"
INTERACTION = "plugins/mixers/interaction.py"
MINIMUM = "plugins/mixers/minimum.py"
QATTEN = "plugins/mixers/qatten.py"
QPLEX = "plugins/mixers/qplex.py"
SHAQ = "plugins/mixers/shaq.py"
NA2Q = "plugins/mixers/na2q.py"
SEMANTICS = "plugins/mixers/semantics.py"
AVF = "plugins/mixers/avf.py"
EVENTS = "plugins/learners/joint_events.py"
TARGETS = "plugins/learners/targets.py"
UPDATES, TRAPS = "tests/plugins/invariants/test_updates.py", "tests/plugins/invariants/test_traps.py"
OWN_PARTS = "tests/plugins/learners/test_own_parts.py"
MODEL = "async_envs/tabular/exact/proxies.py"
RULES = "async_envs/tabular/kernels.py"

STATUS_AND_STEPS = (
    Mutant(
        "decision-step-late",
        INDICES,
        "torch.where(deciding, steps, 0)",
        "torch.where(deciding, (steps + 1).clamp(max=deciding.shape[1] - 1), 0)",
        "a proxy reads the step after the decision",
        "learner_vdn_a",
    ),
    Mutant(
        "decision-step-early",
        INDICES,
        "torch.where(deciding, steps, 0)",
        "torch.where(deciding, (steps - 1).clamp(min=0), 0)",
        "a proxy reads the step before the decision",
        "learner_vdn_a",
    ),
    Mutant(
        "first-decision-for-ever",
        INDICES,
        ".cummax(dim=1).values",
        ".mul(0)",
        "a proxy reads the episode's first decision, whatever was decided since",
        "learner_vdn_a",
    ),
    Mutant(
        "status-ignores-filled",
        INDICES,
        "played = filled != 0",
        "played = torch.ones_like(filled, dtype=torch.bool)",
        "the rows after an episode's end count as played",
        "status",
    ),
    Mutant(
        "inactive-proxy-kept",
        INDICES,
        "executing = (avail_actions[..., CONTINUE] != 0) & played",
        "executing = ((avail_actions[..., CONTINUE] != 0) | (avail_actions[..., NOOP] != 0)) & played",
        "the proxy of a dead agent goes on counting",
        "learner_vdn_a",
    ),
    Mutant(
        "executing-inverted",
        INDICES,
        "return gather_steps(q_taken, decision_t).masked_fill(~executing, 0.0)",
        "return gather_steps(q_taken, decision_t).masked_fill(executing, 0.0)",
        "proxies are masked exactly where they should count",
        "learner_vdn_a",
    ),
    Mutant(
        "deciding-proxy-unmasked",
        INDICES,
        "return gather_steps(q_taken, decision_t).masked_fill(~executing, 0.0)",
        "return gather_steps(q_taken, decision_t)",
        "proxies of deciding and inactive agents have utilities",
        "proxies",
    ),
    Mutant(
        "proxy-of-another-agent",
        HISTORIES,
        "return lambda mac, q_taken: proxy_utilities(q_taken, decision_t, status.executing)",
        "return lambda mac, q_taken: proxy_utilities(q_taken.roll(1, 2), decision_t, status.executing)",
        "a proxy has the utility of the agent before its own",
        "learner_vdn_a",
    ),
    Mutant(
        "proxy-action-of-another-agent",
        HISTORIES,
        'gather_steps(batch["actions"], decision_t).masked_fill',
        'gather_steps(batch["actions"], decision_t).roll(1, 2).masked_fill',
        "a proxy with a past of its own carries out the action of the agent before its own",
        "own_recurrence",
    ),
)

LEARNING = (
    Mutant(
        "target-proxy-greedy",
        LEARNER,
        'take(target.q_all, taken))}',
        'q_next)}',
        "the target's proxies have the utilities of greedy actions instead of the actions taken",
        "learner_vdn_a",
    ),
    Mutant(
        "target-proxy-live",
        LEARNER,
        "proxies(self.target_mac, take(target.q_all, taken))",
        "proxies(self.mac, q_taken)",
        "the target's proxies are read from the live network",
        "learner_vdn_a",
    ),
    Mutant(
        "target-step-0-dropped",
        LEARNER,
        "proxies(self.target_mac, take(target.q_all, taken))",
        "proxies(self.target_mac, take(target.q_all, taken).index_fill(1, rows.new_zeros(1), 0.0))",
        "the target's proxies lose what was decided at step 0",
        "learner_vdn_a",
    ),
    Mutant(
        "target-proxy-a-step-behind",
        LEARNER,
        "proxies(self.target_mac, take(target.q_all, taken))",
        "proxies(self.target_mac, take(target.q_all, taken)).roll(1, 1)",
        "the target mixes the proxies of step t with the utilities of step t + 1",
        "learner_vdn_a",
    ),
    Mutant(
        "proxies-detached",
        LEARNER,
        '"q_proxy": proxies(self.mac, q_taken)',
        '"q_proxy": proxies(self.mac, q_taken.detach())',
        "no gradient reaches the decision through its proxy",
        "learner_vdn_a",
    ),
    Mutant(
        "proxy-sees-the-present",
        SIDES,
        "values = gather_steps(values, decision_t)",
        "values = values.clone()",
        "a proxy has the present observation instead of that of the decision",
        "learner_qatten_a",
    ),
    Mutant(
        "c-not-shared",
        LEARNER,
        "self.target_mixer.share_buffers(self.mixer)\n        fields",
        "self.mixer.share_buffers(self.mixer)\n        fields",
        "the target mixer shifts its proxies by another constant C than the live one",
        "learner_mvd",
    ),
)

MIXING = (
    Mutant(
        "masked-slot-mixed",
        BASE,
        "extras.q_proxy.masked_fill(~extras.executing, 0.0)",
        "extras.q_proxy",
        "VDN(A), QMIX(A) and Qatten(A) mix whatever stands in a masked slot",
        "mixers",
    ),
    Mutant(
        "masked-slot-in-mvd",
        MVD,
        "q_proxy.masked_fill(~executing, 0.0)",
        "q_proxy",
        "MVD's first-order term counts whatever stands in a masked slot",
        "mixers",
    ),
    Mutant(
        "masked-slot-interacts",
        INTERACTION,
        " * pair_scale).masked_fill(~executing, 0.0)",
        " * pair_scale)",
        "masked proxies interact with deciding agents",
        "mixers",
    ),
    Mutant(
        "executing-agents-interact",
        MVD,
        "real = real + interaction * deciding.unsqueeze(1)",
        "real = real + interaction",
        "executing and inactive agents are multiplied with proxies too",
        "mixers",
    ),
    Mutant(
        "softmax-over-masked-slots",
        QATTEN,
        "logits = logits.masked_fill(masked.unsqueeze(1), -math.inf)",
        "logits = logits.masked_fill(masked.unsqueeze(1), 0.0)",
        "masked proxies of Qatten(A) draw attention from the others",
        "mixers",
    ),
    Mutant(
        "c-subtracted",
        INTERACTION,
        "(q_proxy + q_c_min).clamp(min=0.0)",
        "(q_proxy - q_c_min)",
        "the minimum is added as the paper's text reads literally, so that factors are negative",
        "mixers",
    ),
    Mutant(
        "c-switched-off",
        MINIMUM,
        "torch.maximum(self.value, needed, out=self.value)",
        "self.value.zero_()",
        "the running minimum stays 0 and negative proxies are clamped",
        "learner_mvd",
    ),
    Mutant(
        "c-without-target",
        MINIMUM,
        "torch.minimum(q_proxy.detach(), q_proxy_target).masked_fill",
        "q_proxy.detach().masked_fill",
        "the target's proxies do not enter the minimum",
        "learner_mvd",
    ),
    Mutant(
        "interaction-transposed",
        MVD,
        "term = set_interaction(weights, set_products(",
        "term = set_interaction(weights if size > 1 else weights.transpose(2, 3), set_products(",
        "agent i takes the weight of pair (j, i) for pair (i, j)",
        "mixers",
    ),
    Mutant(
        "interaction-abs-dropped",
        MVD,
        "weights = net(features).abs().view(-1,",
        "weights = net(features).view(-1,",
        "interaction weights may be negative",
        "mixers",
    ),
)

ENVIRONMENT_SIDE = (
    Mutant(
        "environment-reward-doubled",
        ENVIRONMENT,
        "        task.step(self._task_actions)\n",
        "        task.step(self._task_actions)\n        task.reward *= 2\n",
        "the team is paid once for its agents and once for their proxies",
        "environment",
    ),
    Mutant(
        "environment-first-decision-kept",
        ENVIRONMENT,
        "if avail_actions[b, i, NOOP] == 0 and avail_actions[b, i, CONTINUE] == 0:",
        "if avail_actions[b, i, NOOP] == 0 and avail_actions[b, i, CONTINUE] == 0 and decision_action[b, i] == 0:",
        "the first decision stays when the action ended, early or not, and a new one was taken",
        "environment",
    ),
    Mutant(
        "environment-same-action-kept",
        ENVIRONMENT,
        "if avail_actions[b, i, NOOP] == 0 and avail_actions[b, i, CONTINUE] == 0:",
        "if avail_actions[b, i, NOOP] == 0 and avail_actions[b, i, CONTINUE] == 0 "
        "and decision_action[b, i] != actions[b, i]:",
        "the old observation stays when an action is chosen again, as after an early end",
        "environment",
    ),
    Mutant(
        "environment-action-of-another-agent",
        ENVIRONMENT,
        "decision_action[b, i] = actions[b, i]",
        "decision_action[b, i] = actions[b, (i + 1) % actions.shape[1]]",
        "a proxy carries out the action of the agent after its own",
        "environment",
    ),
    Mutant(
        "environment-executing-inverted",
        ENVIRONMENT,
        "executing = task_avail[b, i, CONTINUE] != 0",
        "executing = task_avail[b, i, CONTINUE] == 0",
        "proxies are shown exactly where they should be masked",
        "environment",
    ),
    Mutant(
        "environment-inactive-proxy-kept",
        ENVIRONMENT,
        "executing = task_avail[b, i, CONTINUE] != 0",
        "executing = task_avail[b, i, CONTINUE] != 0 or task_avail[b, i, NOOP] != 0",
        "the proxy of a dead agent stays",
        "environment",
    ),
    Mutant(
        "environment-deciding-proxy-unmasked",
        ENVIRONMENT,
        "executing = task_avail[b, i, CONTINUE] != 0",
        "executing = task_avail[b, i, NOOP] == 0",
        "the proxy of a deciding agent still shows the decision before",
        "environment",
    ),
    Mutant(
        "environment-proxy-sees-the-present",
        ENVIRONMENT,
        "decision_obs[b, i, o] if executing else 0.0",
        "task_obs[b, i, o] if executing else 0.0",
        "a proxy sees what its agent sees now instead of what it saw when it decided",
        "environment",
    ),
    Mutant(
        "environment-moves-finished-episodes",
        ENVIRONMENT,
        "        task.step(self._task_actions)\n",
        "        task.step(self._task_actions)\n        task.t += ~self._moving\n",
        "the clock of finished episodes goes on",
        "environment",
    ),
)

EXACT_AND_TABULAR = (
    Mutant(
        "model-reward-doubled",
        MODEL,
        "reward += chance * earned",
        "reward += 2 * chance * earned",
        "the exact model with proxies pays twice",
        "exact",
    ),
    Mutant(
        "model-memory-lost",
        MODEL,
        "seen = [(0, 1.0)] if self._redraws else self._sights[s][i]",
        "seen = [(0, 1.0)]",
        "the exact model forgets what was seen at the decision",
        "exact",
    ),
    Mutant(
        "model-first-action-repeated",
        MODEL,
        "Option(CONTINUE, FIRST_OWN + a, [phase])",
        "Option(CONTINUE, FIRST_OWN, [phase])",
        "the exact model's proxies do their agent's first action, whichever it executes",
        "exact",
    ),
    Mutant(
        "model-last-step-early",
        MODEL,
        "activity = a + self._task.n_own_actions if ends else a",
        "activity = a + self._task.n_own_actions",
        "the exact model takes every later step of an action for its last",
        "exact",
    ),
    Mutant(
        "model-early-end-missed",
        MODEL,
        "bool(over or out or cut)",
        "bool(over or out)",
        "the exact model lets an interrupted action go on",
        "exact",
    ),
    Mutant(
        "simulator-early-end-missed",
        RULES,
        "if now.left[b, i] == 0 or tables.ends_action[state, i]:",
        "if now.left[b, i] == 0:",
        "the tabular simulator lets an interrupted action go on",
        "tabular",
    ),
)

BASELINES = (
    Mutant(
        "end-bootstrapped",
        TARGETS,
        "return (reward + gamma * (1.0 - terminated) * q_next).detach()",
        "return (reward + gamma * q_next).detach()",
        "a real end is bootstrapped like a step limit",
        "learner_vdn_a",
        (UPDATES,),
    ),
    Mutant(
        "loss-halved",
        TARGETS,
        "return (q_tot - target).square().mean()",
        "return 0.5 * (q_tot - target).square().mean()",
        "the squared error has the factor 1/2 that some implementations have",
        "learner_vdn_a",
        (TRAPS,),
    ),
    Mutant(
        "targets-copied-by-calls",
        LEARNER,
        "elif episode_num - self.last_target_update_episode >= interval_or_tau:",
        "elif self.training_steps - self.last_target_update_episode >= interval_or_tau:",
        "the target networks wait for so many updates, not episodes",
        "targets_copied",
        (TRAPS,),
    ),
    Mutant(
        "best-of-the-live-network",
        LEARNER,
        "read_fields(self.target_mixer.needs, batch, target, greedy,",
        "read_fields(self.target_mixer.needs, batch, live, greedy,",
        "QPLEX compares target utilities with the live network's best",
        "learner_qplex",
        (OWN_PARTS,),
    ),
    Mutant(
        "gradient-through-advantages",
        QPLEX,
        "with torch.set_grad_enabled(openly):",
        "with torch.enable_grad():",
        "QPLEX's agents learn through their advantages too",
        "learner_qplex",
        ("tests/plugins/mixers/test_qplex.py",),
    ),
    Mutant(
        "shaq-with-a-target-mixer",
        SHAQ,
        "return VDNMixer(self.n_agents, self.state_dim, proxies=False)",
        "return super().make_target()",
        "SHAQ values next steps with alpha instead of by the plain sum",
        "learner_shaq",
        (OWN_PARTS,),
    ),
    Mutant(
        "latent-without-noise",
        SEMANTICS,
        "return Latent(mean + std * noise, mean, std)",
        "return Latent(mean, mean, std)",
        "NA2Q's latent is the mean of its distribution",
        "learner_na2q",
        ("tests/plugins/mixers/test_na2q.py",),
    ),
    Mutant(
        "credit-for-masked-terms",
        NA2Q,
        "logits = logits.masked_fill(n_absent > 0, MASKED)",
        "logits = logits.masked_fill(n_absent > 0, 0.0)",
        "terms of NA2Q(A) with a masked proxy draw credit from the others",
        "mixers",
        ("tests/plugins/mixers/test_na2q.py",),
    ),
    Mutant(
        "event-ends-at-the-next-step",
        EVENTS,
        ".masked_fill(leads_to_event, self.keys.td_lambda or 0.0)",
        ".masked_fill(torch.ones_like(leads_to_event), self.keys.td_lambda or 0.0)",
        "AVF's target is the reward of one step, whatever the time to the next joint event",
        "learner_avf_qmix",
        ("tests/plugins/learners/test_joint_events.py",),
    ),
    Mutant(
        "blank-slot-in-avf",
        AVF,
        "return torch.where(extras.executing, carried, q_taken)",
        "return q_taken",
        "AVF's executing agents hold the utility of `continue`",
        "mixers",
        ("tests/plugins/mixers/test_avf.py",),
    ),
    Mutant(
        "macro-state-of-the-present",
        AVF,
        "then, state.unsqueeze(1).expand_as(then)).flatten(1)",
        "state.unsqueeze(1).expand_as(then), state.unsqueeze(1).expand_as(then)).flatten(1)",
        "AVF's joint macro-state is the present state of every agent",
        "mixers",
        ("tests/plugins/mixers/test_avf.py",),
    ),
)

MUTANTS = STATUS_AND_STEPS + LEARNING + MIXING + BASELINES + ENVIRONMENT_SIDE + EXACT_AND_TABULAR
