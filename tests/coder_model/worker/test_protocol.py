"""Frames between a worker and its windows."""

import pytest

from coder_model.worker import protocol


def test_a_frame_that_is_not_ours_is_refused():
    with pytest.raises(ValueError, match="frame must be at most"):
        protocol.frame_length(b"\xff\xff\xff\xff")
