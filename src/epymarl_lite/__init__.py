"""A small platform with EPyMARL's command line, keys, registries, batch layout and result folders.

It imports no environment and no algorithm: the registries in `envs`, `runners`, `controllers` and
`learners` are filled from outside.
"""
