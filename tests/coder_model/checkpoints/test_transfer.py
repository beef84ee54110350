"""The meter of a transfer."""

import pytest

from coder_model.checkpoints.transfer import TransferMeter
from coder_model.errors import Unreachable


def test_a_meter_tells_speed_and_ends_what_does_not_move():
    now, told = [0.0], []
    meter = TransferMeter(1000, told.append, lambda: now[0])
    meter.begin("somewhere", 100, 60.0)
    for second in range(1, 5):
        now[0] = float(second)
        meter.at(100 + 100 * second)
    assert (told[-1].bytes_per_s, told[-1].seconds_left, told[-1].done) == (100.0, 5.0, 500)
    meter.at(300)
    assert told[-1].done == 500
    now[0] += 60.0
    meter.check()
    now[0] += 0.1
    with pytest.raises(Unreachable, match="somewhere sent nothing for 60 s"):
        meter.check()
