import errno
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError

import pytest

from unmask_cli import doctor


def test_a_disk_with_room_is_well(tmp_path):
    name, found, good = doctor.room(tmp_path)
    assert (name, good) == ("disk", True)
    assert str(tmp_path) in found
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_takes_nothing_is_said(tmp_path, monkeypatch, number):
    def refuse(**_):
        raise OSError(number, "refused")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert doctor.room(tmp_path) == ("disk", f"{tmp_path}: refused: no model can be fetched, no result written", False)


def test_a_disk_that_is_almost_full_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 5_000_000, 5_000_000))
    assert doctor.room(tmp_path) == ("disk", f"{tmp_path}: 5 MB are free, 105 MB must be", False)


def test_a_missing_package_is_fetched_by_the_folder_and_not_by_a_name_that_anybody_may_take(monkeypatch):
    def absent(_):
        raise PackageNotFoundError

    monkeypatch.setattr(doctor, "version", absent)
    said = [found for name, found, good in doctor._installed() if name in doctor.PACKAGES and not good]
    assert len(said) == len(doctor.PACKAGES)
    assert all("-e '.[model]' in the folder of unmask" in found for found in said)
