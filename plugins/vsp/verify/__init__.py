"""`python -m registry verify`: that VSP changes nothing it must not change, seen on a task and on a learner.

`verification` plays and calls the checks; each check lives beside its kind: `environment_side` (what a
simulator with proxies shows), `learner_side` (what a learner reads), `joint` (Individual-Global-Max). The
references are written from the definition, step by step, without the code they check.
"""
