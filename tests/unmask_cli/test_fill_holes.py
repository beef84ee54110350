import pytest
from commands import exit_code

TEXT = "def one():\r\n    pass\r\n\r\n\r\ndef two(x):\r\n    return x\r\n"


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "a.py"
    made.write_bytes(TEXT.encode())
    return made


def test_a_file_without_holes_is_told_and_prints_nothing(tmp_path, capsys):
    file = tmp_path / "b.py"
    file.write_text("x = 1\n")
    assert exit_code(["fill", str(file), "--all-holes", "--model", "embedded"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "has no hole to fill" in said.err


def test_the_diff_is_what_is_written(model_directory, file, capsys):
    arguments = ["fill", str(file), "--all-holes", "--model", str(model_directory)]
    assert exit_code(arguments) == 0
    shown = capsys.readouterr()
    assert file.read_bytes() == TEXT.encode()
    assert "of 1 holes filled" in shown.err
    assert exit_code([*arguments, "--write"]) == 0
    assert capsys.readouterr().out == shown.out
    # whatever a random model says, what is around the hole stays
    new = file.read_bytes().decode()
    assert new.startswith(TEXT[:16])
    assert new.endswith(TEXT[20:])


@pytest.mark.parametrize("arguments", [[], ["--at", "1:1", "--all-holes"], ["--at", "1:1", "--write"]])
def test_one_place_or_all_holes_must_be_asked_for(file, arguments, capsys):
    assert exit_code(["fill", str(file), *arguments]) == 2
    assert "either --at LINE:COL or --all-holes must be given" in capsys.readouterr().err
