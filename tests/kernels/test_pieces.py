"""Connected pieces of label maps."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from pxdask.kernels.pieces import count_pieces


def test_pieces_by_hand():
    labels = [
        [0, 1, -1, 2, 2],
        [1, 0, -1, -1, -1],
        [-1, -1, 4, 0, 4],
        [2, -1, 4, 4, 4],
    ]
    # 0: two at a corner, and one apart; 1: two at a corner; 2: two apart; 3: none; 4: a U that is
    # found to be one only at its last row.
    np.testing.assert_array_equal(count_pieces(np.array(labels)), [2, 1, 2, 0, 1])


def test_no_label_at_all():
    assert count_pieces(np.full((3, 4), -1)).shape == (0,)
    assert count_pieces(np.zeros((0, 0), dtype=int)).shape == (0,)


@given(arrays(np.int32, (9, 8), elements=st.integers(-1, 3)))
def test_as_many_as_a_search_for_each_label_finds(labels):
    wanted = [
        ndimage.label(labels == label, structure=np.ones((3, 3)))[1]
        for label in range(labels.max() + 1)
    ]
    found = count_pieces(labels)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(count_pieces(np.asfortranarray(labels.T[::-1])), wanted)


def test_a_spiral_is_one_piece():
    # Worst for union-find by rows: arms join only at the end of the last row.
    labels = np.where(np.arange(201) % 2 == 0, 0, -1) * np.ones((200, 1), dtype=int)
    assert count_pieces(labels)[0] == 101
    labels[-1] = 0
    assert count_pieces(labels)[0] == 1
