"""Ordinary places of code, as somebody new to the tool has them, and whether what is said there is right.

The places lie in `ordinary_places.toml`. A pattern there is of Python's `re`, is matched against a whole text as
`plain` leaves it, and its blanks are optional, so that neither spacing nor the break of a line nor a comment decides.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from coder_model.evaluation.sandbox import passes

FILE = Path(__file__).with_suffix(".toml")
CURSOR = "‸"
NODE_TIMEOUT_S = 10
_EITHER_QUOTE = {"python", "javascript", "typescript", "lua"}
_NO_SEMICOLON = {"javascript", "typescript", "lua"}
_STRING = r'"(?:[^"\\\n]|\\.)*"|`[^`]*`'
_COMMENT = {"python": r"#[^\n]*", "ruby": r"(?<!\S)# [^\n]*", "lua": r"--[^\n]*"}
_SLASHES = r"//[^\n]*|/\*.*?\*/"
_KEPT_BLANK = "\0"
# a context of its own knows neither files nor processes nor the network
_NODE = """
const program = require("fs").readFileSync("program.js", "utf8");
const world = { module: { exports: {} } };
require("vm").runInNewContext(program, world, { timeout: 5000 });
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor in a file, and what is right there."""

    name: str
    lang: str
    """The editor's language id."""
    file: str
    kind: str
    """`line`: a line that is empty up to its indentation; `middle`: in a line; `block`: an empty body."""
    text: str
    """With the cursor in it, once."""
    answer: str
    """One right answer, from the cursor on."""
    right: tuple[str, ...]
    """Patterns of all right answers, or of none where `run` decides alone."""
    run: str = ""
    """Statements for the end of the file that raise where the answer is wrong."""

    @property
    def before(self) -> str:
        """The text before the cursor."""
        return self.text.partition(CURSOR)[0]

    @property
    def after(self) -> str:
        """The text behind the cursor."""
        return self.text.partition(CURSOR)[2]


@cache
def places() -> tuple[Place, ...]:
    """Returns the places in the order of the file."""
    tables = tomllib.loads(FILE.read_text("utf-8"))["place"]
    return tuple(Place(**{**table, "right": tuple(table["right"])}) for table in tables)


def is_right(place: Place, said: str) -> bool:
    """Returns whether a text is right at a place, from the cursor on and with the letters that were typed there."""
    said = said.strip()
    found = plain(said, place.lang)
    if any(pattern(each).fullmatch(found) for each in place.right):
        return True
    if not place.run or not said:
        return False
    program = f"{place.before}{said}{place.after}\n{place.run}\n"
    return passes(program) if place.lang == "python" else _node_passes(program)


def plain(text: str, lang: str) -> str:
    """Returns a text without comments and blanks, but for one between two words and those within a string.

    Quotes are double where both kinds mean the same, semicolons at a line's end are gone where they are optional.
    """
    if lang in _EITHER_QUOTE:
        text = text.replace("'", '"')
    text = re.sub(f"({_STRING})|{_COMMENT.get(lang, _SLASHES)}", _without_comment, text, flags=re.DOTALL)
    if lang in _NO_SEMICOLON:
        text = re.sub(r";(?=\s*(?:\n|\}|$))", "\n", text)
    return re.sub(r"(?<!\w)\s+|\s+(?!\w)", "", re.sub(r"\s+", " ", text)).replace(_KEPT_BLANK, " ")


def _without_comment(found: re.Match[str]) -> str:
    return found[1].replace(" ", _KEPT_BLANK) if found[1] else ""


@cache
def pattern(written: str) -> re.Pattern[str]:
    """Returns a pattern of the file, compiled: each blank may be missing, but for one behind a backslash.

    Raises:
        re.error: The pattern is none.
    """
    return re.compile(re.sub(r"(?<!\\) ", " ?", written), re.DOTALL)


def runs(lang: str) -> bool:
    """Returns whether programs of a language can be run here."""
    return lang == "python" or (lang == "javascript" and shutil.which("node") is not None)


def _node_passes(program: str) -> bool:
    """Returns whether a JavaScript program ends without an error; False where there is no node."""
    node = shutil.which("node")
    if node is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "program.js").write_text(program, "utf-8")
        try:
            done = subprocess.run(
                [node, "-e", _NODE], cwd=folder, env={}, capture_output=True, timeout=NODE_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0
