"""YAML is plain values, and not too many."""

import pytest
import yaml

from pxdask.core.config import SurveyConfig
from pxdask.core.documents import load_yaml
from pxdask.core.errors import ConfigError

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)


def test_plain_values_and_aliases():
    assert load_yaml("a: &a {b: [1, 2.5, true]}\nc: *a") == {
        "a": {"b": [1, 2.5, True]},
        "c": {"b": [1, 2.5, True]},
    }
    assert load_yaml("") is None


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system [echo]",
        "a: !!python/name:os.system",
        "!!python/object/new:type [x, [], {}]",
        BOMB,
        "a: &a [*a]",
        "[" * 1500 + "]" * 1500,
    ],
)
def test_what_is_refused(text, tmp_path):
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)
    (tmp_path / "survey.yaml").write_text(text)
    with pytest.raises(ConfigError, match="is not YAML"):
        SurveyConfig.load(tmp_path / "survey.yaml")


def test_a_million_values_are_enough():
    assert len(load_yaml("- 1\n" * 1000)) == 1000
    # 12 lists; the n-th has 10^(n+1) texts, and 10^n + ... + 1 lists: together 1.2346e12
    with pytest.raises(yaml.YAMLError, match=r"stand for 1.23e\+12 values"):
        load_yaml(BOMB)
