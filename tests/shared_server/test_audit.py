import json
import stat
from pathlib import Path

import pytest

from coder_model.types import InvalidInput
from shared_server import audit
from shared_server.audit import Audit, AuditLine

LINE = AuditLine("2026-01-01T00:00:00.000+00:00", "id", "red", "ann", "/infill", 200)


def test_a_line_is_an_object_for_the_owner_alone(tmp_path):
    path = tmp_path / "audit"
    made = Audit(path)
    made.write(LINE)
    made.close()
    assert json.loads(path.read_text())["tenant"] == "red"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_all_files_together_are_of_bounded_size(tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "MOST_BYTES", 2000)
    made = Audit(tmp_path / "audit")
    for _ in range(500):
        made.write(LINE)
    made.close()
    files = list(tmp_path.iterdir())
    assert len(files) == audit.FILES
    assert all(file.stat().st_size <= 2000 for file in files)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_loses_lines_and_counts_them(capsys):
    made = Audit(None)
    made._handler = audit._Rotating.__new__(audit._Rotating)
    audit.logging.FileHandler.__init__(made._handler, "/dev/full")
    made._handler.maxBytes = made._handler.backupCount = 0
    for _ in range(3):
        made.write(LINE)
    assert made.lost == 3
    made.close()
    assert capsys.readouterr() == ("", "")


def test_without_a_file_nothing_is_written():
    made = Audit(None)
    made.write(LINE)
    made.close()
    assert made.lost == 0


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(InvalidInput, match="audit must be a file that can be written"):
        Audit(tmp_path / "no" / "audit")
