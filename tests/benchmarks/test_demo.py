"""`make demo`: what is typed where, what is fetched and what is not, and what it says when something is not there."""

import hashlib
import os
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import demo
import pytest
from demo_places import FILE, Place, judge, places
from demo_view import Run, answer_view, place_view, save_picture, summary
from editor import Ghost
from fake_index import FakeIndex
from processes import wait_until
from rich.console import Console
from tiny_user import TinyUser

ROOT = Path(__file__).parents[2]
LINES = FILE.read_text("utf-8").split("\n")
PLACES = places(LINES)
NAME, GGUF, PART_BYTES = "tiny-coder", "tiny.gguf", 3_000_000
NOWHERE = "http://127.0.0.1:9"
CATALOGUE = """
[[model]]
name = "tiny-coder"
source = "org/tiny-GGUF"
revision = "0123456789abcdef0123456789abcdef01234567"
family = "qwen2.5-coder"
parameters = 0.5
licence = "Apache-2.0"
infills = true
card = "a CPU"
scores = "none"
source_of_scores = ""

[model.file]
name = "tiny.gguf"
bytes = {bytes}
sha256 = "{sha256}"

[model.file.parts]
package = "tiny-part{{number}}"
version = "1.0"
member = "tiny_part{{number}}/data/part{{number:02}}.bin"
bytes = {part_bytes}
"""
DEMO = """
import sys
from pathlib import Path
from coder_model.checkpoints import catalogue
catalogue.FILE = Path(sys.argv.pop(1))
import demo
sys.exit(demo.main())
"""
WITHOUT_SERVERS = DEMO.replace(
    "import demo", "import demo\ndemo.show = lambda console, name, *_: console.print(f'SHOWN {name}')"
)
"""The demo's part before any server starts; its exit code is 1 then, as nothing was measured."""
NOTE_SOCKETS = """
import os, socket, sys
def note(event, arguments):
    # -1: of a descriptor that is open already, as the worker's
    if event == "socket.__new__" and arguments[1] not in (socket.AF_UNIX, -1) or event == "socket.getaddrinfo":
        with open(os.environ["SOCKETS"], "a") as file:
            file.write(f"{event} {arguments}\\n")
sys.addaudithook(note)
"""


class Newcomer(TinyUser):
    """Starts the demo."""

    def start_demo(self, *arguments, program=DEMO, **more):
        paths = os.pathsep.join([str(ROOT / "benchmarks"), *([more.pop("paths")] if "paths" in more else [])])
        return subprocess.Popen(
            [sys.executable, "-c", program, str(self.catalogue), *map(str, arguments)],
            env={**self.environment, "PYTHONPATH": paths, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def fetch(self, stall_s=60, name=NAME, **more):
        return self.demo("--model", name, "--stall-s", stall_s, program=WITHOUT_SERVERS, **more)

    def demo(self, *arguments, **more):
        process = self.start_demo(*arguments, **more)
        out, err = process.communicate(timeout=180)
        assert err == ""
        return out, process.returncode


def write_catalogue(folder, data):
    path = folder / "catalogue.toml"
    sha256 = hashlib.sha256(data).hexdigest()
    path.write_text(CATALOGUE.format(bytes=len(data), sha256=sha256, part_bytes=PART_BYTES))
    return path


@pytest.fixture
def data():
    return bytes(range(256)) * 30_000


@pytest.fixture
def index(data):
    made = FakeIndex(data, PART_BYTES)
    yield made
    made.close()


@pytest.fixture
def newcomer(tmp_path, index, data):
    """Somebody with a package index and no hub."""
    return Newcomer(tmp_path / "home", NOWHERE, index.url, write_catalogue(tmp_path, data))


def plain(width=120):
    return Console(file=StringIO(), width=width, highlight=False)


def shown(console, *what):
    for one in what:
        console.print(one)
    return console.file.getvalue()


def ghost(text, milliseconds=12.0):
    return Ghost(text, milliseconds, 3, 4)


def test_the_demo_file_does_what_it_says(tmp_path):
    (tmp_path / "spent.csv").write_text("day,category,amount\n2026-01-02,food,12.5\n2026-02-03,rent,700\n")
    ran = subprocess.run(
        [sys.executable, FILE, tmp_path / "spent.csv", "--largest", "1"], capture_output=True, text=True
    )
    assert ran.stderr == ""
    assert "2 expenses, 712.50 in all, 356.25 on average" in ran.stdout
    assert ran.stdout.splitlines()[-1].split() == ["2026-02-03", "rent", "700.00"]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.kind)
def test_the_files_own_text_is_as_in_the_file_and_no_text_is_nothing(place):
    assert LINES[place.row] == place.before + place.hidden.split("\n")[0]
    assert judge(LINES, place, ghost(place.hidden)).verdict == "as in the file"
    assert judge(LINES, place, ghost(place.hidden)).similarity == 1.0
    assert judge(LINES, place, ghost("")).verdict == "nothing"
    assert judge(LINES, place, ghost(")]}")).verdict == "does not parse"


def test_other_text_is_told_from_text_that_is_no_python():
    place = next(place for place in PLACES if place.kind == "the body behind a docstring")
    assert judge(LINES, place, ghost("return 0.0")).verdict == "parses"
    assert judge(LINES, place, ghost("return sum(")).verdict == "does not parse"
    assert judge(LINES, place, ghost("return '\0'")).verdict == "does not parse"


def test_a_place_that_is_not_there_once_is_named():
    with pytest.raises(ValueError, match="must hold .* once, found it 0 times"):
        places([])


def test_ghost_text_can_be_told_from_typed_text_with_and_without_colours():
    place = Place("a loop", 1, "for ", "x in y:")
    assert "for «a in b:\n" in shown(plain(), place_view(plain(), ["y = []"] * 2, place, "for ", "a in b:\n    pass"))
    colours = Console(file=StringIO(), width=120, force_terminal=True, color_system="truecolor")
    view = place_view(colours, ["y = []"] * 2, place, "for ", "a in b:")
    assert "«" not in view.plain
    assert any("green" in str(span.style) and view.plain[span.start : span.end] == "a in b:" for span in view.spans)


def test_a_suggestion_is_never_cut_by_a_narrow_terminal():
    text = "return sum(expense.amount for expense in expenses)"
    place = PLACES[1]
    console = plain(40)
    out = shown(console, answer_view(console, LINES, 1, judge(LINES, place, ghost(text, 1234.0)), "a-model"))
    assert text.replace(" ", "") in "".join(out.split())
    assert all(len(line) <= 40 for line in out.splitlines())


def test_the_table_counts_what_was_shown(tmp_path):
    texts = [PLACES[0].hidden, "", ")", *["None"] * (len(PLACES) - 3)]
    all_shown = tuple(judge(LINES, place, ghost(text, 10.0)) for place, text in zip(PLACES, texts, strict=True))
    run = Run("a-model", 0.49, 3.0, 400.0, all_shown)
    out = shown(plain(), summary([run, run]))
    for row in ("as in the file 1 of 11 1 of 11", "nothing offered 1 of 11", "reply, median 10 ms", "on disk 0.49 GB"):
        assert row in " ".join(out.split())
    save_picture(tmp_path / "a.svg", "a title", LINES, run, [1, 2])
    picture = (tmp_path / "a.svg").read_text("utf-8")
    assert "a-model" in picture
    assert "url(" not in picture.replace("url(#", "")


def test_the_embedded_model_is_shown_without_a_network_socket_or_a_word_to_an_index(newcomer, index, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(NOTE_SOCKETS)
    sockets = tmp_path / "sockets"
    out, code = newcomer.demo("--model", "embedded", "--key-s", 0, paths=str(tmp_path), SOCKETS=str(sockets))
    assert code == 0
    assert not sockets.exists(), sockets.read_text()
    assert index.requests == []
    assert not (newcomer.home / "data").exists()
    assert "fetching" not in out
    for number, place in enumerate(PLACES, 1):
        assert f"{number:2}. {place.kind}" in out
    assert out.count("ms after the key · embedded") == len(PLACES)
    assert "in short" in out
    assert "of 11" in out


def test_the_audit_that_the_last_test_trusts_sees_sockets(newcomer, index, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(NOTE_SOCKETS)
    sockets = tmp_path / "sockets"
    newcomer.fetch(paths=str(tmp_path), SOCKETS=str(sockets))
    assert "socket" in sockets.read_text()


def test_a_real_model_is_fetched_and_shown_first_and_the_table_has_both(tmp_path):
    pytest.importorskip("gguf")
    import gguf_files

    gguf_files.build("qwen2", tmp_path / GGUF, "Q8_0")
    data = (tmp_path / GGUF).read_bytes()
    index = FakeIndex(data, PART_BYTES)
    try:
        user = Newcomer(tmp_path / "home", NOWHERE, index.url, write_catalogue(tmp_path, data))
        out, code = user.demo("--model", NAME, "--key-s", 0, "--picture", tmp_path / "picture.svg")
        assert code == 0
        for said in (f"fetching {NAME}", "licence Apache-2.0", "GB, once", "org/tiny-GGUF", "tiny-part1", "Ctrl-C"):
            assert said in out
        assert "from the package index: " in out
        assert user.installed == [NAME]
        for name in (NAME, "embedded"):
            assert out.count(f"ms after the key · {name}") == len(PLACES)
        assert out.index(f"after the key · {NAME}") < out.index("after the key · embedded")
        assert "side by side" in out
        assert f"unmask lsp --model {NAME}" in out
        assert NAME in (tmp_path / "picture.svg").read_text("utf-8")
        asked = len(index.requests)
        out, _ = user.fetch()
        assert "installed already, nothing is fetched" in out
        assert len(index.requests) == asked
    finally:
        index.close()


def check_fallback(user, match, stall_s):
    out, _ = user.fetch(stall_s)
    (line,) = [line for line in out.splitlines() if line.endswith("; on with the embedded model")]
    assert match in line
    assert "SHOWN embedded" in out
    assert f"SHOWN {NAME}" not in out
    assert user.installed == []


def test_without_a_network_one_line_says_so_and_the_embedded_model_is_shown(newcomer, tmp_path):
    lone = Newcomer(tmp_path / "other", NOWHERE, catalogue=newcomer.catalogue)
    check_fallback(lone, NAME, 5)


def test_a_download_that_stands_still_is_given_up_and_goes_on_the_next_time(newcomer, index):
    index.hang = True
    check_fallback(newcomer, "sent nothing for 1 s", 1)
    index.hang = False
    out, _ = newcomer.fetch()
    assert out.index(f"SHOWN {NAME}") < out.index("SHOWN embedded")


def test_a_download_that_is_interrupted_ends_in_a_line_and_goes_on_the_next_time(newcomer, index):
    index.slowly_s = 0.02
    process = newcomer.start_demo("--model", NAME, program=WITHOUT_SERVERS)
    assert wait_until(lambda: len(index.fetched) >= 2, 60)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == ""
    assert "interrupted; a download goes on where it was the next time" in out
    assert newcomer.installed == []
    index.slowly_s = 0.0
    index.fetched.clear()
    newcomer.fetch()
    assert newcomer.installed == [NAME]
    assert 1 not in index.fetched


def test_a_model_that_nobody_knows_is_named_with_others(newcomer):
    out, code = newcomer.fetch(name="tiny-coda")
    assert f"such as {NAME}" in out
    assert "SHOWN embedded" in out
    assert code == 1


def test_a_slow_machine_shows_fewer_places_and_the_same_ones_of_both_models(monkeypatch):
    asked = []

    class SlowEditor:
        open = replace = type = lambda *_: None
        is_answered = lambda *_: True  # noqa: E731

        def start(self, *_):
            asked.append(1)

        def wait(self, _):
            return ghost("x")

    monkeypatch.setattr(demo, "BUDGET_S", 0.0)
    console = plain()
    assert len(demo.type_everywhere(console, SlowEditor(), "slow", 0.0, len(PLACES))) == 1
    assert "10 places are left out" in console.file.getvalue()
    monkeypatch.setattr(demo, "BUDGET_S", 60.0)
    assert len(demo.type_everywhere(console, SlowEditor(), "quick", 0.0, 3)) == 3


def test_make_passes_the_model_on_and_takes_none_from_the_environment():
    said = subprocess.run(
        ["make", "-n", "demo", "READY="], cwd=ROOT, capture_output=True, text=True, env={**os.environ, "MODEL": "x"}
    )
    assert "--model 'qwen2.5-coder-0.5b'" in said.stdout
    said = subprocess.run(["make", "-n", "demo", "MODEL=embedded", "READY="], cwd=ROOT, capture_output=True, text=True)
    assert "--model 'embedded'" in said.stdout
