"""EPyMARL's import path for the batch and the replay buffer."""

from epymarl_lite.components.episode_batch import EpisodeBatch
from epymarl_lite.components.replay_buffer import PlainReplayBuffer, ReplayBuffer

__all__ = ["EpisodeBatch", "PlainReplayBuffer", "ReplayBuffer"]
