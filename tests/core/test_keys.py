"""Keys and random streams depend on content alone."""

import subprocess
import sys

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from pxdask.core.provenance import canonical_json, content_key, package_versions
from pxdask.core.random import stream

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_key_does_not_depend_on_order(mapping):
    backwards = dict(reversed(mapping.items()))
    assert content_key(mapping) == content_key(backwards)


@given(json_values, json_values)
def test_equal_keys_mean_equal_content(one, other):
    assert (content_key(one) == content_key(other)) == (
        canonical_json(one) == canonical_json(other)
    )


def test_key_is_the_same_in_another_process():
    code = (
        "from pxdask.core.provenance import content_key as k; print(k({'b': [1, 2.5], 'a': 'ä'}))"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == content_key({"a": "ä", "b": [1, 2.5]})


def test_nan_has_no_key():
    with pytest.raises(ValueError, match=r"Out of range|not JSON"):
        content_key([float("nan")])


def test_streams_are_reproducible_and_distinct():
    first = stream(1, "ngc309", "fit", 3).random(4)
    assert np.array_equal(first, stream(1, "ngc309", "fit", 3).random(4))
    others = [
        stream(2, "ngc309", "fit", 3),
        stream(1, "ngc309", "fit", 4),
        stream(1, "a", "fit", 3),
    ]
    assert all(not np.array_equal(first, other.random(4)) for other in others)


def test_a_number_is_not_its_text():
    assert stream(1, "3").random() != stream(1, 3).random()


def test_versions_are_known():
    assert package_versions()["numpy"] == np.__version__
