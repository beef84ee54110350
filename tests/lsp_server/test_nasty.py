"""Documents and names that no editor should send, and some do: the real server and the real model."""

import sys

import plain_text
import pytest
from lsp_client import LspClient
from processes import wait_until

UNMASK = [sys.executable, "-P", "-c", "from unmask_cli.cli import main; main()", "lsp"]
CODE = "def total(prices):\n    return sum(prices)\n\n\n"
CALL = "print(total("
BEFORE = {
    "empty": "",
    "one character": "x",
    "a form feed": f"{CODE}\x0c\n{CALL}",
    "vertical tabs and separators": f"a\x0bb\x1cc\x1dd\x1ee\n{CODE}{CALL}",
    "next line and line separators": f"a = '\x85\u2028\u2029'\n{CODE}{CALL}",
    "half an emoji before the cursor": f"{CODE}x = '\ud83d",
    "the other half": f"{CODE}x = '\ude00",
    "halves in the wrong order": f"{CODE}\ude00\ud83d{CALL}",
    "an emoji before the cursor": f"{CODE}x = '👩‍👩‍👧‍👦{CALL}",
    "combining marks": f"{CODE}e\u0301\u0301\u0301 = {CALL}",
    "right to left": f"{CODE}שלום = 'مرحبا'; {CALL}",
    "NULs": f"\0\0\0{CODE}\0{CALL}",
    "nothing but NULs": "\0" * 1000,
    "replacement characters": "x = '\ufffd\ufffd'\ny = '\ufffd",
    "a byte order mark": f"\ufeff{CODE}{CALL}",
    "a byte order mark in the middle": f"{CODE}\ufeff{CALL}",
    "CRLF": (CODE + CALL).replace("\n", "\r\n"),
    "CR alone": (CODE + CALL).replace("\n", "\r"),
    "all three line ends": f"a\r\nb\rc\n{CODE}{CALL}",
    "LF before CR": f"a\n\r\n\rb\n\r{CODE}{CALL}",
    "a line of a megabyte": "x" * 1_000_000,
    "a megabyte of blanks": " " * 1_000_000,
    "a megabyte of brackets": "(" * 1_000_000,
    "a megabyte of quotes": "'" * 1_000_000,
    "deep indentation": " " * 5_000 + CALL,
    "fifty thousand lines": "x = 1\n" * 50_000 + CALL,
    "fifty thousand blank lines": "\n" * 50_000,
    "five megabytes": CODE * 120_000 + CALL,
    "deep nesting": "[" * 20_000 + CALL,
    "deep blocks": "".join(f"{' ' * i}if x:\n" for i in range(400)),
    "the same line for ever": "print(total(1))\n" * 3_000 + CALL,
    "one long word": "a" * 20_000,
    "no blanks at all": "".join(f"x{i}=y{i};" for i in range(20_000)),
    "base64": "k = '" + "aGVsbG8gd29ybGQ" * 20_000,
    "ideographs": "漢字" * 30_000,
    "tags of a prompt": "<|fim_prefix|><file>a.py<suf><pre><eom><mask>" + CALL,
    "escapes of a terminal": "\x1b[31mred\x1b[0m\n" + CALL,
    "binary": "".join(chr(i) for i in range(256)) * 10,
    "private use": "\ue000\uf8ff\U000f0000" + CALL,
}
URIS = [
    "file:///work/a.py",
    "untitled:Untitled-1",
    "vscode-notebook-cell:/work/a.ipynb#W0sZmlsZQ%3D%3D",
    "git:/work/a.py?%7B%22ref%22%3A%22HEAD%22%7D",
    "file:///C%3A/Users/a%20b/%F0%9F%98%80.py",
    "file:///work/%00.py",
    "file:////unc/share/a.py",
    "file:",
    "",
    "not a uri at all \n",
    "file:///" + "a/" * 2_000 + "b.py",
    "file:///work/../../../etc/passwd",
    "http://example.com/a.py",
    "файл:///работа",
]


@pytest.fixture(scope="module")
def client():
    made = LspClient(UNMASK, options={"preset": "eager", "deadlineMs": 20_000})
    made.open("file:///warm.py", CODE + CALL)
    assert wait_until(lambda: made.items("file:///warm.py", 4, len(CALL)), 30)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _still_there(client):
    """After each document a plain one is answered, and nobody was told of anything."""
    yield
    client.open("file:///canary.py", CODE + CALL)
    assert client.items("file:///canary.py", 4, len(CALL))
    assert not [note for note in client.notifications if note["method"].startswith("window/")]
    assert not [line for line in client.log if "ERROR" in line]


def check(text, cursor, items):
    for item in items:
        new = item["insertText"]
        assert not [char for char in new if char in "\0\ufffd\x1b" or "\ud800" <= char <= "\udfff"]
        where = {(item["range"][name]["line"], item["range"][name]["character"]) for name in ("start", "end")}
        assert len(where) == 1
        assert plain_text.offset(text, *where.pop(), "utf-16") == cursor


@pytest.mark.parametrize(
    "after",
    [
        pytest.param("", id="at the end"),
        pytest.param(")\n", id="before a bracket", marks=pytest.mark.slow),
        pytest.param("\ud83d\n", id="before half an emoji", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", BEFORE)
def test_any_text_is_answered(client, name, after):
    text = plain_text.joined(BEFORE[name] + after)
    bounds = plain_text.line_bounds(BEFORE[name])
    start, end = bounds[-1]
    character = sum(plain_text.width(char, "utf-16") for char in BEFORE[name][start:end])
    uri = "file:///work/nasty.py"
    client.open(uri, BEFORE[name] + after)
    at = (len(bounds) - 1, character)
    for trigger in (2, 1):
        check(text, plain_text.offset(text, *at, "utf-16"), client.items(uri, *at, trigger))
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})


@pytest.mark.parametrize("uri", URIS)
def test_any_name_is_answered(client, uri):
    client.open(uri, CODE + CALL)
    assert isinstance(client.items(uri, 4, len(CALL)), list)
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})


@pytest.mark.parametrize("language", ["", "python", "klingon", "plaintext", "\ud83d", "x" * 10_000])
def test_any_language_is_answered(client, language):
    client.open("file:///work/b.xyz", CODE + CALL, language)
    assert isinstance(client.items("file:///work/b.xyz", 4, len(CALL)), list)


@pytest.mark.parametrize("at", [(4, 99), (99, 0), (2**31 - 1, 2**31 - 1), (0, 2**31 - 1)])
def test_places_outside_are_answered(client, at):
    client.open("file:///work/c.py", CODE + CALL)
    assert isinstance(client.items("file:///work/c.py", *at), list)


def test_closed_and_opened_again_while_it_is_asked(client):
    uri = "file:///work/d.py"
    client.open(uri, CODE + CALL)
    started = [client.ask(uri, 4, len(CALL))]
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    started.append(client.ask(uri, 4, len(CALL)))
    client.open(uri, "y = ")
    started.append(client.ask(uri, 0, 4))
    *_, last = [one[1].get(timeout=20) for one in started]
    check("y = ", 4, last["result"]["items"])
