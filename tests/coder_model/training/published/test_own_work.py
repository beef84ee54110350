import pytest
import torch

from coder_model.errors import ModelFileError
from coder_model.training.drafter.options import DrafterOptions
from coder_model.training.published.own_work import with_memory


def on_device_for(rows, seen):
    def run(options):
        seen.append(options.micro_rows)
        if options.micro_rows > rows:
            raise torch.OutOfMemoryError("no memory")
        return "done"

    return run


def test_a_device_with_little_memory_gets_fewer_sequences_at_a_time():
    seen = []
    assert with_memory(DrafterOptions("", "", 1.0), on_device_for(4, seen)) == "done"
    assert seen == [16, 8, 4]


def test_a_device_that_does_not_hold_one_sequence_is_one_clear_line():
    with pytest.raises(ModelFileError, match="target is too large for the memory of this device: no memory"):
        with_memory(DrafterOptions("", "", 1.0), on_device_for(0, []))
