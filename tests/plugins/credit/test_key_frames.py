"""Which steps are key frames, by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from plugins.credit.key_frames import KeyFrame, choose, key_frames

TD, REWARD, CHANGE = "TD error", "reward", "interactions change"
NOTHING = np.zeros(5)


def scores(*rows: list[float]) -> list[np.ndarray]:
    return [np.array(row) for row in rows]


def test_the_rankings_take_turns_and_the_steps_come_in_their_order() -> None:
    given = scores([0.1, 5.0, 4.0, 0.2, 0.3], [9.0, 0.0, 1.0, 8.0, 0.0], [0.0, 0.0, 0.0, 0.0, 2.0])
    assert [KeyFrame(0, (REWARD,)), KeyFrame(1, (TD,)), KeyFrame(4, (CHANGE,))] == choose(given, 3)
    assert [0, 1, 2, 4] == [frame.row for frame in choose(given, 4)]


def test_a_step_that_leads_two_rankings_says_so_and_the_second_goes_on_to_its_next() -> None:
    given = scores([7.0, 1.0, 2.0, 0.0, 0.0], [7.0, 0.0, 0.0, 3.0, 0.0], NOTHING.tolist())
    assert [KeyFrame(0, (TD, REWARD)), KeyFrame(3, (REWARD,))] == choose(given, 2)


def test_of_equal_steps_the_earlier_one_is_taken() -> None:
    assert [KeyFrame(1, (TD,))] == choose(scores([0, 2, 2, 2, 0], [0] * 5, [0] * 5), 1)


def test_a_step_whose_numbers_are_zero_is_never_taken() -> None:
    assert [] == choose([NOTHING, NOTHING, NOTHING], 6)
    assert [KeyFrame(2, (CHANGE,))] == choose([NOTHING, NOTHING, np.eye(5)[2]], 6)


def test_the_scores_are_td_error_unusual_reward_and_change_of_the_pairs() -> None:
    """Every step costs 0.1; f of the one pair goes 0, 0, 3, 3, -3, whose size changes once."""
    f = np.zeros((5, 2, 2))
    f[:, 0, 1] = f[:, 1, 0] = [0, 0, 3, 3, -3]
    given: Any = SimpleNamespace(
        td_error=np.array([0, -4.0, 0, 1.0, 0]), reward=np.array([-0.1, -0.1, -0.1, 0.9, -0.1]), f=f
    )
    assert [KeyFrame(1, (TD,)), KeyFrame(2, (CHANGE,)), KeyFrame(3, (REWARD,))] == key_frames(given, 6)


def test_no_step_is_taken_twice_and_no_more_than_there_are() -> None:
    generator = np.random.default_rng(0)
    for n_frames in range(1, 9):
        frames = choose(list(generator.random((3, 5))), n_frames)
        assert min(n_frames, 5) == len({frame.row for frame in frames}) == len(frames)
