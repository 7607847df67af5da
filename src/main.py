"""The command: `python src/main.py --config=mvd with env_args.key=async:poac`."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [path for path in (os.path.dirname(HERE), HERE) if path not in sys.path]

if __name__ == "__main__":
    from registry.launch import main

    sys.exit(main(sys.argv))
