"""Lets `python src/main.py` of an EPyMARL checkout run the tasks and algorithms of async-epymarl.

`python -m registry link DIR` copies this file into DIR/src and puts one line into DIR/src/main.py that calls
`take_over`; `python -m registry unlink DIR` takes both away. Commands that do not concern us pass untouched.
"""

import json
import os
import sys

CLONE = ""  # where async-epymarl lies; link writes it
MANIFEST = ".async-epymarl-link.json"

MOVED = (
    "async-epymarl: its clone is no longer at {clone}. Move it back, or link this checkout anew: "
    "python -m registry link {checkout}"
)
LACKING = (
    "async-epymarl: this Python lacks the package {package!r}. Install what our clone needs: "
    "pip install -e {clone}"
)


def take_over() -> None:
    """Run our launcher and exit, if the command names a task or an algorithm of ours; else do nothing."""
    source = os.path.dirname(os.path.abspath(__file__))
    checkout = os.path.dirname(source)
    started = os.path.abspath(getattr(sys.modules["__main__"], "__file__", None) or "")
    if started != os.path.join(source, "main.py") or not concerns_us(sys.argv, checkout):
        return
    if not os.path.isfile(os.path.join(CLONE, "registry", "launch.py")):
        sys.exit(MOVED.format(clone=CLONE, checkout=checkout))
    sys.path.insert(0, CLONE)
    try:
        from registry.launch import main
    except ModuleNotFoundError as error:
        sys.exit(LACKING.format(package=error.name, clone=CLONE))
    sys.exit(main(sys.argv, linked=checkout))


def concerns_us(argv: "list[str]", checkout: str) -> bool:
    """Whether a command line names a task of ours, or an algorithm that link has put into the checkout."""
    try:
        with open(os.path.join(checkout, MANIFEST), encoding="utf-8") as file:
            ours = json.load(file)["algorithms"]
    except (OSError, ValueError, KeyError):
        ours = []
    given = [word.replace(" ", "").replace("'", "").replace('"', "") for word in argv]
    return any(
        word.startswith("env_args.key=async:")
        or word == "--env-config=async"
        or (word.startswith("--config=") and word[len("--config="):] in ours)
        for word in given
    )
