import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coder_model.model.embedded import DEFAULT_MODEL
from coder_model.types import InvalidInput
from unmask_cli.cli import app
from unmask_cli.fill import read_source, split_at

UNMASK = [sys.executable, "-P", "-c", "from unmask_cli.cli import main; main()"]


def unmask(*arguments, cwd=None, stdout=subprocess.PIPE, **environment):
    return subprocess.run(
        [*UNMASK, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
        encoding=environment.get("PYTHONIOENCODING", "utf-8"),
        cwd=cwd, env=os.environ | environment,
    )  # fmt: skip


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "a.py"
    made.write_text("def add(a, b):\n    return \n\n\nprint(add(1, 2))\n")
    return made


def fill(model_directory, *arguments):
    return unmask("fill", *arguments, "--model", model_directory)


def test_fill_prints_the_suggestion_in_place(model_directory, file):
    found = unmask("fill", file, "--at", "2:12", "--model", model_directory, COLUMNS="20")
    assert found.returncode == 0, found.stderr
    assert "def add(a, b):" in found.stdout
    assert "print(add(1, 2))" in found.stdout
    told = found.stdout.splitlines()[-1]
    assert "tokens in" in told
    assert "confidence" in told


def test_fill_as_json_is_one_object(model_directory, file):
    found = fill(model_directory, file, "--at", "2:12", "--json", "--policy", "top_k", "--steps", "2")
    record = json.loads(found.stdout)
    assert record["hole"] == "line"
    assert record["steps"] >= 1
    assert isinstance(record["text"], str)


def test_watch_shows_masks_turning_into_tokens(model_directory, file):
    found = fill(model_directory, file, "--at", "2:12", "--watch", "--no-copy")
    assert "░" in found.stdout
    assert "step   1" in found.stdout


@pytest.mark.parametrize(
    ("name", "content", "at", "message"),
    [
        ("gone.py", None, "1:1", "must be a readable file: No such file"),
        (".", None, "1:1", "must be a readable file: Is a directory"),
        ("b.py", b"\x00\x01", "1:1", "must be text, found a NUL byte"),
        ("b.py", b"caf\xe9", "1:1", "must be UTF-8 text, byte 3 is not"),
        ("b.py", b"\xed\xa0\xbd", "1:1", "must be UTF-8 text, byte 0 is not"),
        (".env", b"KEY=1\n", "1:1", "must be a file that a model may see: its name is that of a file with secrets"),
        ("b.py", b"x = 1\n", "9:1", "has lines 1 to 2"),
        ("b.py", b"x = 1\n", "1:7", "line 1 of .* has columns 1 to 6"),
        ("b.py", b"x = 1\n", "0:1", "has lines 1 to 2"),
        ("b.py", b"x = 1\n", "end", "--at must be LINE:COL"),
        ("b.py", b"x = 1\n", f"{'9' * 5000}:1", f"--at must be LINE:COL, both from 1, got '{'9' * 30}…{'9' * 28}:1'$"),
    ],
)
def test_bad_input_is_one_line_that_names_it_and_exit_code_two(tmp_path, name, content, at, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    found = unmask("fill", path, "--at", at)
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert str(path) in found.stderr or "--at" in found.stderr
    with pytest.raises(InvalidInput, match=message):
        split_at(read_source(path), at, path)


@pytest.mark.parametrize("content", ["", "x = 1\n" * 50_000, "x" * 1_000_000])
def test_empty_tall_and_wide_files_are_filled(model_directory, tmp_path, content):
    path = tmp_path / "a.py"
    path.write_text(content)
    found = fill(model_directory, path, "--at", "1:1", "--json")
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(
    ("broken", "message"),
    [("model.safetensors", "must be a whole safetensors file"), ("tokenizer.json", "must be a tokenizer")],
)
def test_a_broken_model_is_one_line_and_exit_code_two(model_directory, tmp_path, file, broken, message):
    for part in model_directory.iterdir():
        data = part.read_bytes()
        (tmp_path / part.name).write_bytes(data[: len(data) // 2] if part.name == broken else data)
    found = fill(tmp_path, file, "--at", "1:1")
    assert found.returncode == 2
    assert found.stderr.startswith("unmask fill:")
    assert found.stderr.count("\n") == 1
    assert broken in found.stderr
    assert message in found.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--policy", "best"], ["--steps", "-1"], ["--quantize", "int3"], ["--hole", "round"], ["--deadline-ms", "-1"]],
)
def test_a_wrong_option_is_named(model_directory, file, arguments):
    found = fill(model_directory, file, "--at", "1:1", *arguments)
    assert found.returncode == 2
    assert arguments[0].lstrip("-").partition("-")[0] in found.stderr


def test_paths_count_from_the_working_directory(model_directory, file):
    arguments = ("--at", "2:12", "--json", "--model", f"./{model_directory.name}")
    assert unmask("fill", file, *arguments, cwd=model_directory.parent).returncode == 0


def test_doctor_says_what_is_wrong(tmp_path, model_directory):
    good = unmask("doctor", "--model", model_directory)
    assert good.returncode == 0, good.stdout
    assert "parameters" in good.stdout
    bad = unmask("doctor", "--model", tmp_path)
    assert bad.returncode == 1
    assert "wrong" in bad.stdout


def test_doctor_cuts_no_name_on_a_narrow_terminal(model_directory, tmp_path):
    found = unmask("doctor", "--model", model_directory, COLUMNS="50", XDG_STATE_HOME=str(tmp_path / "a-long-folder"))
    cells = [line.split("│")[2].strip() for line in found.stdout.splitlines() if line.count("│") == 4]
    assert "…" not in found.stdout
    assert f"{tmp_path / 'a-long-folder'}/unmask/statistics" in "".join(cells)


@pytest.mark.parametrize("columns", ["60", "80", "200", ""], ids=["60", "80", "200", "piped"])
@pytest.mark.parametrize(
    "command", ["models info qwen2.5-coder-0.5b", "stats", "--help", "fill --help", "train --help"]
)
def test_nothing_that_a_command_says_is_cut(command, columns):
    said = unmask(*command.split(), COLUMNS=columns)
    assert said.returncode == 0
    assert "…" not in said.stdout


SLOW = [pytest.param(columns, marks=pytest.mark.slow) for columns in ("20", "60", "200")]


@pytest.mark.parametrize("columns", ["80", *SLOW, ""])
def test_no_cell_of_a_table_is_cut(model_directory, columns):
    checked = unmask("doctor", "--model", model_directory, COLUMNS=columns).stdout
    assert "…" not in checked
    listed = unmask("models", "list", COLUMNS=columns)
    assert "…" not in listed.stdout
    assert "stable-diffcoder-8b" in listed.stdout
    scored = unmask("eval", "--limit", "1", "--only-model", "--model", model_directory, COLUMNS=columns)
    assert scored.returncode == 0, scored.stderr
    assert "…" not in scored.stdout
    assert "kind=" in scored.stdout


@pytest.mark.parametrize("kind", ["a pipe", "a device"])
def test_what_may_never_end_is_not_read(tmp_path, kind):
    os.mkfifo(tmp_path / "pipe.py")
    file = tmp_path / "pipe.py" if kind == "a pipe" else Path("/dev/zero")
    with pytest.raises(InvalidInput, match="must be a file, found a pipe or a device"):
        read_source(file)


def test_doctor_names_a_folder_that_others_can_enter(tmp_path, model_directory, monkeypatch):
    (tmp_path / "unmask").mkdir()
    (tmp_path / "unmask").chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    found = unmask("doctor", "--model", model_directory)
    assert found.returncode == 1
    assert "must be a folder that only its owner can enter (mode 700)" in found.stdout


def test_eval_writes_only_what_is_named_and_nothing_by_halves(model_directory, tmp_path):
    arguments = ("eval", "--model", model_directory, "--limit", "1", "--only-model")
    (tmp_path / "folder").mkdir()
    assert unmask(*arguments, cwd=tmp_path).returncode == 0
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]
    refused = unmask(*arguments, "--output", tmp_path / "folder")
    assert refused.stderr == f"unmask eval: --output must be a file, {tmp_path / 'folder'} is a directory\n"
    (tmp_path / "file").write_text("")
    refused = unmask(*arguments, "--output", tmp_path / "file" / "r.json")
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [f"unmask: {tmp_path / 'file'}: File exists"]
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        assert unmask(*arguments, "--output", tmp_path / "pipe").returncode == 0
        assert json.loads(reader.stdout.read())["figures"]
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--limit", "-1"],
        ["--limit", "0"],
        ["--concurrent", "0"],
        ["--options", "[]"],
        ["--options", "3"],
        ["--options", "{"],
    ],
)
def test_a_wrong_option_of_eval_is_named_before_a_model_is_loaded(arguments):
    found = unmask("eval", *arguments, "--model", "nobody-looks-for-it")
    assert found.returncode == 2
    assert f"Invalid value for '{arguments[0]}'" in found.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [["models", "list"], ["--version"], ["models", "info", "qwen2.5-coder-0.5b"]])
def test_a_full_disk_is_one_line(arguments):
    with Path("/dev/full").open("w") as full:
        found = unmask(*arguments, stdout=full)
    assert (found.returncode, found.stderr) == (1, "unmask: No space left on device\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_lacks_a_character_shows_the_others(model_directory, tmp_path, encoding):
    file = tmp_path / "größe.py"
    file.write_text("größe = 1\nλ = \n", "utf-8")
    place = ("--at", "2:5", "--watch", "--no-copy", "--model", model_directory)
    found = unmask("fill", file, *place, PYTHONIOENCODING=encoding)
    assert found.returncode == 0, found.stderr
    assert "? = " in found.stdout


def test_the_version_is_one_line():
    assert unmask("--version").stdout == f"unmask {version('unmask')}\n"


def test_a_key_is_not_asked_for_where_there_is_no_such_service():
    found = unmask("key", "telegraph")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("unmask key: service must be one of mercury,")


@pytest.mark.parametrize("arguments", [[], ["--stdio"]], ids=["plain", "as many clients start it"])
def test_the_language_server_starts_and_ends_with_its_input(arguments):
    done = unmask("lsp", *arguments)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("command", [[], ["drafter", "--target", "tiny"], ["adapter", "--target", "tiny"]])
def test_a_corpus_is_looked_for_before_anything_slow_is_loaded(monkeypatch, command):
    monkeypatch.setitem(sys.modules, "torch", None)
    found = CliRunner().invoke(app, ["train", *command, "--corpus", "nowhere"])
    assert found.exit_code == 2
    assert found.stderr == f"unmask {' '.join(['train', *command[:1]])}: corpus directory must exist, got nowhere\n"


def test_the_language_server_says_to_a_terminal_whom_it_waits_for():
    terminal, side = os.openpty()
    server = subprocess.Popen([*UNMASK, "lsp"], stdin=side, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.close(side)
    assert server.stderr.readline() == "unmask lsp: waits for what an editor writes to it; Ctrl-D ends it\n"
    os.write(terminal, b"\x04")
    assert server.wait(20) == 0
    os.close(terminal)
    server.stdout.close()
    server.stderr.close()


def test_train_and_eval_have_their_own_help():
    assert "prepare" in unmask("train", "--help").stdout
    assert "--data" in unmask("eval", "--help").stdout


@pytest.mark.skipif(
    not (DEFAULT_MODEL / "model.safetensors").exists(), reason="the embedded weights are not in this checkout"
)
def test_the_embedded_model_fills(file):
    found = unmask("fill", file, "--at", "2:12", "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["text"].strip()
