import errno

import pytest
from safetensors import SafetensorError

from coder_model.training.shards import write_split
from coder_model.whole_file import naming, written_whole


def full():
    return OSError(errno.ENOSPC, "No space left on device")


def test_a_file_is_there_when_it_is_whole(tmp_path):
    with written_whole(tmp_path / "a") as part:
        part.write_text("half")
        assert not (tmp_path / "a").exists()
        part.write_text("whole")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["whole"]


@pytest.mark.parametrize("fault", [full(), KeyboardInterrupt(), ValueError("other")])
def test_nothing_half_written_stays_and_what_was_there_does(tmp_path, fault):
    (tmp_path / "a").write_text("before")

    def write():
        with written_whole(tmp_path / "a") as part:
            part.write_text("half")
            raise fault

    with pytest.raises(type(fault)):
        write()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a", "before")]


@pytest.mark.parametrize(
    "fault",
    [full(), SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")],
)
def test_a_full_disk_is_named_with_the_file(tmp_path, fault):
    with pytest.raises(OSError, match="No space left") as raised, naming(tmp_path / "a"):
        raise fault
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(tmp_path / "a"))


def test_a_fault_of_another_kind_stays_what_it_is(tmp_path):
    with pytest.raises(SafetensorError), naming(tmp_path / "a"):
        raise SafetensorError("a header is wrong")


def test_a_split_on_a_full_disk_leaves_nothing(tmp_path):
    def texts():
        yield b"\0\0"
        raise full()

    with pytest.raises(OSError, match="No space left"):
        write_split(tmp_path, "train", ["a"], texts())
    assert list(tmp_path.iterdir()) == []
