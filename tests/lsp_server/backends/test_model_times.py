"""What models take, kept from one start to the next."""

import pytest

from lsp_server.backends.model_times import TRIED_AGAIN_S, ModelTimes


@pytest.fixture
def times(tmp_path):
    return ModelTimes(tmp_path / "models.json")


def test_the_shortest_time_of_a_day_counts(times):
    for ms in (200.0, 900.0, 150.0, 160.0):
        times.note("small", ms)
    assert times.of("small") == times.last("small") == 150.0


def test_a_time_of_another_day_or_release_does_not_count(times, monkeypatch):
    times.note("small", 50)
    monkeypatch.setattr("lsp_server.backends.model_times.time.time", lambda: 2 * TRIED_AGAIN_S)
    times.note("old", 50)
    monkeypatch.undo()
    assert times.of("small") == 50
    assert times.of("old") is None
    monkeypatch.setattr("lsp_server.backends.model_times.release", lambda: "another")
    assert times.of("small") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"times": 3}', b"\xff"])
def test_a_damaged_file_of_times_is_as_good_as_none(tmp_path, content):
    file = tmp_path / "models.json"
    file.write_bytes(content)
    times = ModelTimes(file)
    assert times.of("small") is None
    times.note("small", 7)
    assert times.of("small") == 7
