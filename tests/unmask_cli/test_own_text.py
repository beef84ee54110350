import stat

import pytest

from coder_model.types import InvalidInput
from unmask_cli.own_text import Addition, OwnText


@pytest.fixture
def own(tmp_path):
    return OwnText("an editor", tmp_path / "state" / "setup.json")


def at_the_end(file, text):
    return Addition(file, text, lambda found: (len(found), text))


def backups(file):
    return list(file.parent.glob(f"{file.name}.*.bak"))


def test_what_is_written_is_taken_away_to_the_byte(own, tmp_path):
    file = tmp_path / "init.lua"
    before = "-- é\r\nx = 1".encode()
    file.write_bytes(before)
    file.chmod(0o640)
    said = own.write(at_the_end(file, "\r\ny = 2\r\n"))
    assert file.read_bytes() == before + b"\r\ny = 2\r\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    (backup,) = backups(file)
    assert backup.read_bytes() == before
    assert str(backup) in said
    assert len(list(own.remove())) == 1
    assert file.read_bytes() == before
    assert list(own.remove()) == []


def test_twice_is_as_good_as_once(own, tmp_path):
    file = tmp_path / "a"
    file.write_text("x\n")
    own.write(at_the_end(file, "y\n"))
    before = len(backups(file))
    assert "already" in own.write(at_the_end(file, "y\n"))
    assert (file.read_text(), len(backups(file))) == ("x\ny\n", before)


def test_another_text_takes_the_place_of_the_first(own, tmp_path):
    file = tmp_path / "a"
    own.write(at_the_end(file, "first\n"))
    own.write(at_the_end(file, "second\n"))
    assert file.read_text() == "second\n"
    list(own.remove())
    assert not file.exists()


def test_a_file_that_was_made_goes_unless_it_holds_more_by_now(own, tmp_path):
    file = tmp_path / "deep" / "a"
    own.write(at_the_end(file, "ours\n"))
    assert backups(file) == []
    file.write_text("theirs\nours\n")
    list(own.remove())
    assert file.read_text() == "theirs\n"


@pytest.mark.parametrize("now", ["ourS\n", "ours\nours\n"])
def test_what_was_changed_since_is_left_and_said(own, tmp_path, now):
    file = tmp_path / "a"
    own.write(at_the_end(file, "ours\n"))
    file.write_text(now)
    (said,) = own.remove()
    assert "changed since" in said
    assert file.read_text() == now


def test_a_file_that_is_gone_is_no_fault(own, tmp_path):
    own.write(at_the_end(tmp_path / "a", "ours\n"))
    (tmp_path / "a").unlink()
    assert "gone already" in next(own.remove())


def test_a_link_stays_a_link(own, tmp_path):
    real, link = tmp_path / "dotfiles.lua", tmp_path / "init.lua"
    real.write_text("x\n")
    link.symlink_to(real)
    own.write(at_the_end(link, "y\n"))
    assert link.is_symlink()
    assert real.read_text() == "x\ny\n"


def test_what_is_not_safe_leaves_the_file_and_no_note(own, tmp_path):
    def refuse(_):
        raise InvalidInput("must be something else")

    file = tmp_path / "a"
    file.write_text("x\n")
    with pytest.raises(InvalidInput, match=f"{file} must be something else; it is left as it is"):
        own.write(Addition(file, "", refuse))
    file.write_bytes(b"caf\xe9")
    with pytest.raises(InvalidInput, match="must be UTF-8 text, byte 3 is not"):
        own.write(at_the_end(file, "y"))
    assert file.read_bytes() == b"caf\xe9"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_two_editors_know_nothing_of_each_other(tmp_path):
    one, two = (OwnText(name, tmp_path / "setup.json") for name in ("one", "two"))
    one.write(at_the_end(tmp_path / "a", "1"))
    two.write(at_the_end(tmp_path / "b", "2"))
    list(one.remove())
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "b").read_text() == "2"


def test_a_note_that_is_broken_is_named(own, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "setup.json").write_text("no json")
    with pytest.raises(InvalidInput, match="setup.json must be what `unmask setup` has noted"):
        own.write(at_the_end(tmp_path / "a", "1"))
    assert not (tmp_path / "a").exists()
