import hashlib
import os
import stat

import pytest

from coder_model.types import InvalidInput
from shared_server import tokens
from shared_server.tokens import Caller, TokenFile, add_token


def test_a_token_lets_its_owner_in_and_nobody_else(tmp_path):
    path = tmp_path / "tokens"
    ann, ben = add_token(path, "red", "ann"), add_token(path, "blue", "ben@home")
    file = TokenFile(path)
    assert file.caller(ann) == Caller("red", "ann")
    assert file.caller(ben) == Caller("blue", "ben@home")
    for wrong in ("", ann[:-1], ann + "x", ann.upper(), hashlib.sha256(ann.encode()).hexdigest(), "\ud800", "é"):
        assert file.caller(wrong) is None


def test_the_file_holds_no_token_and_is_for_its_owner(tmp_path):
    path = tmp_path / "tokens"
    token = add_token(path, "red", "ann")
    assert token not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(token) >= 43


def test_every_line_is_compared_in_constant_time(tmp_path, monkeypatch):
    path = tmp_path / "tokens"
    made = [add_token(path, "red", f"u{i}") for i in range(5)]
    compared = []
    monkeypatch.setattr(tokens.hmac, "compare_digest", lambda a, b: compared.append(1) or a == b)
    file = TokenFile(path)
    for token in (made[0], made[4], "wrong"):
        compared.clear()
        file.caller(token)
        assert len(compared) == 5


def test_a_token_that_is_taken_out_is_refused_at_once(tmp_path):
    path = tmp_path / "tokens"
    ann, ben = add_token(path, "red", "ann"), add_token(path, "red", "ben")
    file = TokenFile(path)
    path.write_text("\n".join(path.read_text().splitlines()[1:]) + "\n")
    assert file.caller(ann) is None
    assert file.caller(ben)
    path.unlink()
    assert file.caller(ben) is None


@pytest.mark.parametrize("line", ["short red ann", "0" * 64 + " red", "0" * 64 + " r/ed ann", "0" * 64 + " a b c"])
def test_a_line_that_is_none_is_named(tmp_path, line):
    path = tmp_path / "tokens"
    path.write_text(f"# people\n\n{line}\n")
    with pytest.raises(InvalidInput, match=f"{path}:3 must be `sha256 tenant user`"):
        TokenFile(path)


def test_while_the_file_is_broken_nobody_is_let_in(tmp_path):
    path = tmp_path / "tokens"
    ann = add_token(path, "red", "ann")
    file = TokenFile(path)
    whole = path.read_text()
    path.write_text(whole + "rubbish\n")
    assert file.caller(ann) is None
    path.write_text(whole)
    os.utime(path, ns=(1, 1))
    assert file.caller(ann) == Caller("red", "ann")


@pytest.mark.parametrize(("tenant", "user"), [("", "ann"), ("red", "a b"), ("r\ned", "ann"), ("red", "")])
def test_names_that_would_break_the_file_are_refused(tmp_path, tenant, user):
    with pytest.raises(InvalidInput, match="tenant and user must be"):
        add_token(tmp_path / "tokens", tenant, user)
    assert not (tmp_path / "tokens").exists()


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(InvalidInput, match="must be a file that can be written"):
        add_token(tmp_path / "no" / "tokens", "red", "ann")


def test_a_last_line_without_its_end_is_not_joined_with_the_next(tmp_path):
    path = tmp_path / "tokens"
    ann = add_token(path, "red", "ann")
    path.write_text(path.read_text().rstrip("\n"))
    ben = add_token(path, "red", "ben")
    file = TokenFile(path)
    assert [file.caller(token).user for token in (ann, ben)] == ["ann", "ben"]


def test_why_nobody_is_let_in_is_said_once_and_again_when_it_has_changed(tmp_path, caplog):
    path = tmp_path / "tokens"
    ann = add_token(path, "red", "ann")
    file = TokenFile(path)
    whole = path.read_text()
    for text in (whole + "rubbish\n", whole, "rubbish\n"):
        path.write_text(text)
        file.caller(ann)
        file.caller(ann)
    assert [record.getMessage() for record in caplog.records] == [
        f"nobody is let in by a token of ours: {path}:{line} must be `sha256 tenant user`" for line in (2, 1)
    ]
