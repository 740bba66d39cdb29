import pytest
from pydantic import ValidationError

from tasks.drift.settings import LIMITS, MonitorSettings


def test_a_limit_of_ones_own_goes_before_the_default():
    settings = MonitorSettings(limits={"text": 0.6})
    assert settings.limit("text") == 0.6
    assert settings.limit("length") == LIMITS["length"]


@pytest.mark.parametrize("limits", [{"txt": 0.6}, {"text": 0.4}, {"length": 1.0}, {"length": -0.1}])
def test_limits_that_no_check_can_have(limits):
    with pytest.raises(ValidationError, match="limits"):
        MonitorSettings(limits=limits)
