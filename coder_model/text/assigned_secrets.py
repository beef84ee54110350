"""What is given to a name such as `password`, in the forms that source text and files of settings have.

A form is a pattern before the name and one behind it; the second one's group `value` is the secret. Forms without a
name (an address with a password in it, a line of `.netrc`) are patterns of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_KINDS_OF_KEYS = "api|access|secret|private|signing|encryption|auth|account|storage|master|client"
_NAME = re.compile(
    rf"password|passwd|passphrase|pwd|secret|credentials?|token|(?:{_KINDS_OF_KEYS})[_-]?key|(?<![a-z])pass"
)
"""In text in small letters. Whatever stands before it is a part of the name: `DB_PASSWORD`, `clientSecret`."""
_ROOTS = ("pass", "pwd", "secret", "credential", "token", "key")
"""One of these is in every name: most files have none."""
_SMALL = {ord(capital): capital.lower() for capital in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
Syntax = Literal["code", "data", "shell"]
"""What stands behind `password:` or `password=` without quotes: in code an expression or a type, in files of data the
password itself, to the end of the line; in shells it is one word."""
_SYNTAX: dict[Syntax, str] = {
    "data": "conf dockercompose dotenv env http ini json jsonc plaintext properties ssh_config toml xml yaml"
    " cfg txt yml",
    "shell": "bat dockerfile makefile powershell shellscript bash cmd mk ps1 sh zsh",
}
"""Language ids, and endings of files."""
_SYNTAX_OF = {name: syntax for syntax, names in _SYNTAX.items() for name in names.split()}
LONGEST = 200
"""Characters of a secret."""
_BEFORE = 80
"""Characters of a line before a name that are looked at."""
_OPTIONS = 400
"""Characters between `curl` and the user that it is given: without an end a line of `curl`s would take minutes."""


@dataclass(frozen=True, slots=True)
class _Form:
    after: re.Pattern[str]
    """Matches right behind the name."""
    before: re.Pattern[str] | None = None
    """Found at the end of the line before the name; the first form of a list that fits is the one."""
    needs_digit: bool = False
    """Without a digit it is a word of a sentence, or a placeholder."""


_MORE = r"(?:[_-]?\d{1,2})?"
_TYPE = r"(?:\s*:\s*[A-Za-z_&*][\w.<>\[\], |&*']{0,40}?|\[\d*\]|[ \t]+[A-Za-z_*]\w{0,20})?"
_LITERAL = _Form(
    re.compile(
        rf"""{_MORE}["'`]?[\])]?{_TYPE}[ \t]*(?:(?::=|=>|[=!]==?|=)\s*|:[ \t]*)(?:[bBrRfFuU@$&]{{1,2}}|String::from\()?
        (?P<quote>\\?(?:\"{{3}}|'{{3}}|["'`]))(?P<value>(?:(?!(?P=quote))[^\n\\]|\\[^\n]){{4,{LONGEST}}})(?=(?P=quote)|\n|\Z)""",
        re.VERBOSE,
    )
)
_DATA_LINE = _Form(
    re.compile(
        rf"""{_MORE}["']?[ \t]*[:=][ \t]*(?P<value>[^\s"'`\[{{|>&*!,][^\r\n]{{3,{LONGEST}}}?)
        [ \t]*(?:[ \t][#;][^\n]*)?\r?$""",
        re.VERBOSE | re.MULTILINE,
    )
)
_SHELL_WORD = _Form(re.compile(rf"""{_MORE}[:=](?P<value>[^\s"'`;&|()]{{4,{LONGEST}}})"""))
_DATA_BLOCK = _Form(re.compile(rf"""{_MORE}:[ \t]*[|>][-+]?\n[ \t]+(?P<value>[^\n]{{4,{LONGEST}}})"""))
_SPACED = _Form(
    re.compile(rf"{_MORE}[ \t]+(?P<value>[^\s\"'`=:,]{{4,{LONGEST}}})[ \t]*$", re.MULTILINE), needs_digit=True
)
_IN_ALL_LANGUAGES = (
    _LITERAL,
    # a line of a shell in a comment, a text or a script; a list of variables
    _Form(
        re.compile(rf"{_MORE}=[\"']?(?P<value>[^\s\"'`;&|,()]{{4,{LONGEST}}})"),
        re.compile(r"(?:\b(?:export|set|setx|env|ENV|ARG)|\s-e|--env)[ \t=][\"']?\w*$|[\"'`?&][\w.-]*$"),
    ),
    _Form(
        re.compile(rf"{_MORE}(?:=[\"']?|[ \t]+[\"']|[\"'`],\s*[\"'`])(?P<value>[^\s\"'`,]{{4,{LONGEST}}})"),
        re.compile(r"--[\w-]*$"),
    ),
    _Form(
        re.compile(rf"{_MORE}[ \t]+(?P<value>[^\s\"'`,]{{4,{LONGEST}}})"), re.compile(r"--[\w-]*$"), needs_digit=True
    ),
    # a header: no name of a program has a hyphen
    _Form(re.compile(rf"{_MORE}:[ \t]*(?P<value>[^\s\"'`,]{{4,{LONGEST}}})"), re.compile(r"\w-(?:\w+-)?$")),
    _Form(
        re.compile(rf"{_MORE}[\"'`],\s*[\"'`](?P<value>[^\s\"'`]{{4,{LONGEST}}})(?=[\"'`])"),
        re.compile(r"(?:env|environ\.get|environ\.setdefault|set_var)\w*\(\s*[\"'`]\w*$", re.IGNORECASE),
    ),
    _Form(
        re.compile(rf"\(\s*[\"'`](?P<value>[^\s\"'`]{{4,{LONGEST}}})(?=[\"'`])"),
        re.compile(r"(?:[._]|\b)(?:set|with)\w*$", re.IGNORECASE),
    ),
    _Form(re.compile(rf"{_MORE}>(?P<value>[^\s<>]{{4,{LONGEST}}})</"), re.compile(r"<[\w:.-]*$")),
    # the settings of a connection in one literal
    _Form(
        re.compile(rf"=(?P<value>[^\s;\"',()]{{4,{LONGEST}}})"),
        re.compile(r"\b(?:host|server|data source|user(?: id|name)?|uid|dbname)=[^\n\"',()]*$", re.IGNORECASE),
    ),
)
_FORMS: dict[Syntax, tuple[_Form, ...]] = {
    "code": _IN_ALL_LANGUAGES,
    "data": (*_IN_ALL_LANGUAGES, _DATA_LINE, _DATA_BLOCK, _SPACED),
    "shell": (*_IN_ALL_LANGUAGES, _SHELL_WORD, _SPACED),
}
_WITHOUT_NAME: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("://", re.compile(rf"""://[^\s:/@"'`<>]*:(?P<value>[^\s/@"'`<>]{{3,{LONGEST}}})@""")),
    (
        "uthorization",
        re.compile(
            rf"""[aA]uthorization["'`]?\]?\s*[:=,]\s*[bf]?["'`]?(?:Bearer|Basic|Token|bearer|basic|token)[ ]
            (?P<value>[\w.~+/=-]{{6,{LONGEST}}})""",
            re.VERBOSE,
        ),
    ),
    ("earer ", re.compile(rf"[bB]earer (?P<value>(?=[\w.~+/=-]*\d)[\w.~+/=-]{{12,{LONGEST}}})")),
    (
        "password",
        re.compile(rf"\b(?:machine|login|account|default)\s+\S+\s+password\s+(?P<value>\S{{3,{LONGEST}}})"),
    ),
    (
        ":",
        re.compile(
            rf"^[^:\s#\"']+:(?:\d{{2,5}}|\*):[^:\s\"']+:[^:\s\"']+:(?P<value>[^\s\"':]{{3,{LONGEST}}})$", re.MULTILINE
        ),
    ),
    (
        "curl",
        re.compile(
            rf"""\bcurl\b[^\n]{{0,{_OPTIONS}}}?[ \t](?:-u|--user)[ =]?["']?[^\s:"']+:
            (?P<value>[^\s"']{{3,{LONGEST}}})""",
            re.VERBOSE,
        ),
    ),
)
"""What is in every text of the form, and its pattern."""
_REFERENCE = re.compile(
    r"[$%{<]|REDACTED|(?:\*+|x+|\.+|true|false|null|none|nil|undefined)$|(?:~|\.{0,2})/[\w./-]*$|[a-z_][\w.]*\(",
    re.IGNORECASE,
)
"""What begins so is the name of a secret that stands elsewhere, the path of a file with one, a blank, a call."""


def syntax_of(language: str, path: str) -> Syntax:
    """Returns what a language id, or where it is empty the ending of a file, says; without either it may be data."""
    ending = path.rpartition(".")[2].lower() if "." in path else ""
    name = language or ending
    return _SYNTAX_OF.get(name, "code") if name else "data"


def assigned(text: str, syntax: Syntax) -> Iterator[tuple[int, int]]:
    """Yields start and end of what is given to the name of a secret, in no order, some perhaps twice.

    Args:
        text: source text, or a piece of it.
        syntax: of it.
    """
    for mark, pattern in _WITHOUT_NAME:
        if mark in text:
            yield from (found.span("value") for found in pattern.finditer(text) if _is_meant(found["value"]))
    small = text.lower()
    if len(small) != len(text):
        small = text.translate(_SMALL)
    if not any(root in small for root in _ROOTS):
        return
    forms = _FORMS[syntax]
    for name in _NAME.finditer(small):
        line = text[max(0, text.rfind("\n", 0, name.start()) + 1, name.start() - _BEFORE) : name.start()]
        for form in forms:
            found = form.after.match(text, name.end())
            if found and (form.before is None or form.before.search(line)):
                if _is_meant(found["value"], form.needs_digit or name.group() == "token"):
                    yield found.span("value")
                break


def _is_meant(value: str, needs_digit: bool = False) -> bool:
    """True for what may be a secret itself."""
    return not _REFERENCE.match(value) and (not needs_digit or any(map(str.isdigit, value)))
