"""The seed of one episode."""

import hashlib


def episode_seed(run_seed: int, stream: str, episode: int) -> int:
    """A hash of (run seed, "train" or "test", episode number), so that neighbouring runs share no episode.

    Returns:
        int in [0, 2**64).
    """
    text = f"{int(run_seed)}/{stream}/{int(episode)}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
