"""JaxMARL's SMAX as a peer to be timed, in an environment of its own: jax stays out of ours.

SMAX_HOME names the folder of that environment. Where it is empty or missing, JaxMARL is installed there first
(pip, about 1 GB on disk). Run as a script by that environment's Python this file is the peer itself: it compiles,
then plays a round for each line it reads and writes the seconds that it took.
"""

import os
import subprocess
import sys
import time
import venv
from pathlib import Path

HOME = "SMAX_HOME"
PACKAGE = "jaxmarl==0.2.0"
READY = "ready"
ONE_THREAD = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}
STOPPED = "SMAX: the peer stopped; see what it printed above. An empty folder as SMAX_HOME installs it anew."


def missing() -> str:
    """Why SMAX is not compared with; "" if it is."""
    return "" if os.environ.get(HOME) else f"{HOME} names no folder for JaxMARL: no SMAX to compare with"


def interpreter() -> Path:
    """The Python that has JaxMARL; installs it if the folder has none yet."""
    home = Path(os.environ[HOME]).absolute()
    python = home / "bin" / "python"
    if not python.exists():
        sys.stderr.write(f"installing {PACKAGE} in {home}\n")
        venv.create(home, with_pip=True, clear=False)
        subprocess.run([python, "-m", "pip", "install", "-q", PACKAGE], check=True)
    return python


class Peer:
    """SMAX in a process of its own, ready for its rounds.

    Args:
        scenario: a map's name.
        batch_size: battles at once.
        n_calls: steps of all of them in a round.
    """

    def __init__(self, scenario: str, batch_size: int, n_calls: int):
        self.n_steps = batch_size * n_calls
        self._process = subprocess.Popen(
            [interpreter(), __file__, scenario, str(batch_size), str(n_calls)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": ""},
        )  # fmt: skip
        while self._read() != READY:  # JaxMARL greets
            pass

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(STOPPED)
        return line.strip()

    def seconds(self) -> float:
        """Play a round; seconds of it."""
        assert self._process.stdin is not None
        self._process.stdin.write("play\n")
        self._process.stdin.flush()
        return float(self._read())

    def close(self) -> None:
        """Let the process go."""
        self._process.communicate()


def serve(scenario: str, batch_size: int, n_calls: int) -> None:
    """Be the peer: random available actions and restarts (SMAX's own) inside the compiled round."""
    import jax
    import jax.numpy as jnp
    from jaxmarl import make
    from jaxmarl.environments.smax import map_name_to_scenario

    env = make("HeuristicEnemySMAX", scenario=map_name_to_scenario(scenario))

    def step(battles, key):  # type: ignore[no-untyped-def]
        key_actions, key_steps = jax.random.split(key)
        masks = jax.vmap(env.get_avail_actions)(battles)
        actions = {
            agent: jax.random.categorical(
                jax.random.fold_in(key_actions, i), jnp.where(masks[agent] > 0, 0.0, -1e9)
            )
            for i, agent in enumerate(env.agents)
        }
        obs, battles, rewards, _, _ = jax.vmap(env.step)(jax.random.split(key_steps, batch_size), battles, actions)
        used = sum(each.sum() for each in obs.values()) + rewards[env.agents[0]].sum()  # so that none is left out
        return battles, used

    @jax.jit
    def play(battles, key):  # type: ignore[no-untyped-def]
        return jax.lax.scan(step, battles, jax.random.split(key, n_calls))

    key = jax.random.PRNGKey(0)
    _, battles = jax.vmap(env.reset)(jax.random.split(key, batch_size))
    battles, _ = jax.block_until_ready(play(battles, key))  # compiles, and spreads the battles over their length
    print(READY, flush=True)
    for _ in sys.stdin:
        key, used = jax.random.split(key)
        start = time.perf_counter()
        battles, _ = jax.block_until_ready(play(battles, used))
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
