"""What is asked before the hub is."""

from types import SimpleNamespace

import pytest
from fake_hub import COMMIT

from coder_model.checkpoints import hub
from coder_model.checkpoints.catalogue import entry_of
from coder_model.checkpoints.store import Store
from coder_model.errors import ModelFileError


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(monkeypatch, tmp_path):
    file = hub.RemoteFile("model.safetensors", 15_000_000_000, "0" * 64, "")
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda _: SimpleNamespace(free=2_000_000_000))
    monkeypatch.setattr(hub, "_is_cached", lambda *_: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelFileError, match=r"must have 15.0 GB free, found 2.0 GB"):
        hub.pull(hub.Offer(entry_of("dreamon-7b"), COMMIT, (file,)), Store(tmp_path))
