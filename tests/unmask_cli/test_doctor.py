import errno
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError

import pytest

from unmask_cli import doctor


def test_a_folder_with_room_is_well(tmp_path):
    name, found, good = doctor.room("models", tmp_path / "not" / "made", "lost")
    assert (name, good) == ("models", True)
    assert str(tmp_path / "not" / "made") in found
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_takes_nothing_is_said(tmp_path, monkeypatch, number):
    def refuse(**_):
        raise OSError(number, "refused")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert doctor.room("models", tmp_path, "no model") == ("models", f"{tmp_path}: refused: no model", False)


def test_a_disk_that_is_almost_full_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 5_000_000, 5_000_000))
    assert doctor.room("models", tmp_path, "") == ("models", f"{tmp_path}: 5 MB are free, 105 MB must be", False)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no variable names these folders")
@pytest.mark.parametrize(
    ("variable", "check", "lost"),
    [
        ("XDG_STATE_HOME", "statistics", "nothing is counted or logged"),
        ("XDG_DATA_HOME", "models", "no model can be fetched"),
        ("XDG_CACHE_HOME", "cache", "longer to load"),
    ],
)
def test_each_folder_that_cannot_be_written_says_what_is_lost_and_what_helps(
    variable, check, lost, tmp_path, monkeypatch
):
    (tmp_path / "file").touch()
    for one in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(one, str(tmp_path / ("file" if one == variable else "folder")))
    (wrong,) = [(name, found) for name, found, good in doctor._folders() if not good]
    assert wrong[0] == check
    assert lost in wrong[1]
    assert f"${variable} may name another folder" in wrong[1]


def test_a_missing_package_is_fetched_by_the_folder_and_not_by_a_name_that_anybody_may_take(monkeypatch):
    def absent(_):
        raise PackageNotFoundError

    monkeypatch.setattr(doctor, "version", absent)
    said = [found for name, found, good in doctor._installed() if name in doctor.PACKAGES and not good]
    assert len(said) == len(doctor.PACKAGES)
    assert all("-e '.[model]' in the folder of unmask" in found for found in said)
