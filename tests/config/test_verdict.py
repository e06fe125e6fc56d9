"""Tests of the thresholds and waivers of the verdict."""

import pytest

from foresight_cli.config import Thresholds
from foresight_cli.errors import UsageError


@pytest.mark.parametrize("retention", [0.0, 0.999])
def test_a_share_can_be_above_the_threshold(retention):
    assert Thresholds(0.5, 0.05, retention, 0.3, 100).retention == retention


@pytest.mark.parametrize("retention", [1.0, 2.0, -0.1, float("nan")])
def test_a_threshold_that_no_share_is_above_is_refused(retention):
    with pytest.raises(UsageError) as caught:
        Thresholds(0.5, 0.05, retention, 0.3, 100)
    assert str(caught.value) == f"thresholds.retention={retention}: it must be from 0 to below 1, for instance 0.95"
