import threading

import numpy as np
import pytest

from pxdask.npe.passes import Passes


def pair(place):
    return np.full((2, 3), place, np.float32), np.full((2, 1), place, np.float32)


def test_slices_come_again_in_their_order():
    with Passes(pair, n_slices=3, n_passes=7) as passes:
        taken = [passes.take(k)[0][0, 0] for k in range(7)]
    assert taken == [0, 1, 2, 0, 1, 2, 0]


def test_the_next_pass_is_made_while_one_is_learnt_and_no_other():
    made, arrived = [], threading.Event()

    def make(place):
        made.append((place, threading.current_thread() is threading.main_thread()))
        if place == 1:
            arrived.set()
        return pair(place)

    with Passes(make, n_slices=5, n_passes=5) as passes:
        passes.take(0)
        assert arrived.wait(10)
    # what waits at the end is not made any more
    assert made == [(0, False), (1, False)]


def test_one_slice_is_made_once():
    made = []
    with Passes(lambda place: made.append(place) or pair(place), n_slices=1, n_passes=9) as passes:
        for k in range(9):
            passes.take(k)
    assert made == [0]


def test_after_the_last_pass_none_is_made():
    made = []
    with Passes(lambda place: made.append(place) or pair(place), n_slices=9, n_passes=2) as passes:
        passes.take(1)
    assert made == [1]


def test_what_fails_in_the_thread_is_raised():
    def make(place):
        raise ValueError(place)

    with Passes(make, n_slices=2, n_passes=2) as passes, pytest.raises(ValueError, match="0"):
        passes.take(0)
