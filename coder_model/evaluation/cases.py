"""Infill cases on disk.

One JSON object a line, in `.jsonl` or `.jsonl.gz`:

    id          any string, unique in its file
    lang        language id of the protocol
    prefix      text before the cursor
    suffix      text after the cursor
    reference   what belongs between them
    mode        "single" or "multi" (optional; "single" when the reference has no line end)
    kind        where the cursor stands (optional)
    tags        any facts, for example {"copyable": true} (optional)
    snippets    pieces of other files, [{"path": ..., "text": ...}] (optional)
    test        code that follows the document and fails unless it is right (optional); run where `lang` is python
    entry_point the function that the test's `check` is called with, where the test does not call it itself (optional)

The files of HumanEval-Infilling (https://github.com/openai/human-eval-infilling) are read as they are.
"""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coder_model.errors import reason_of
from coder_model.text.pieces import piece_of
from coder_model.text.privacy import Privacy
from coder_model.types import HoleMode, InvalidInput, Snippet

OWN_CASES = Path(__file__).parent / "data"
_EXTENSION = {
    "python": "py",
    "javascript": "js",
    "typescript": "ts",
    "go": "go",
    "rust": "rs",
    "lua": "lua",
    "java": "java",
}

_NEEDED = "id, lang, prefix, suffix and reference"
FIELDS, USUAL_SPLIT = ("lang", "mode", "kind"), ("copyable", "mode", "lang", "kind")
"""Of a case, by which figures can be split, and what they are split by unless somebody says otherwise; tags beside."""


@dataclass(frozen=True, slots=True)
class Case:
    """One hole with its reference."""

    id: str
    lang: str
    prefix: str
    suffix: str
    reference: str
    mode: str = "single"
    kind: str = ""
    tags: dict[str, Any] = field(default_factory=dict)
    snippets: tuple[Snippet, ...] = ()
    test: str = ""

    @property
    def file_name(self) -> str:
        """A name with the language's extension."""
        return f"case.{_EXTENSION.get(self.lang, 'txt')}"

    @property
    def hole(self) -> HoleMode:
        """How far it reaches."""
        return "block" if self.mode == "multi" else "line"


def read_cases(path: Path, limit: int | None = None) -> list[Case]:
    """Returns the cases of a file, or of all case files of a directory; `limit` of them, evenly spread.

    Raises:
        InvalidInput: when nothing is there, or a line is no case; names the file and the line.
    """
    files = sorted(f for f in path.iterdir() if f.name.endswith((".jsonl", ".jsonl.gz"))) if path.is_dir() else [path]
    cases = [case for file in files for case in _read_file(file)]
    if not cases:
        raise InvalidInput(f"{path} must hold infill cases (.jsonl or .jsonl.gz), found none")
    if limit and limit < len(cases):
        cases = [cases[i * len(cases) // limit] for i in range(limit)]
    return cases


def split_by(cases: list[Case], wanted: list[str] | None) -> list[str]:
    """Returns the fields and tags that figures are split by: those wanted, or of the usual ones those that there are.

    Raises:
        InvalidInput: when no case has one that is wanted; says what there is.
    """
    there = dict.fromkeys([*FIELDS, *(tag for case in cases for tag in case.tags)])
    if wanted is None:
        return [name for name in USUAL_SPLIT if name in there]
    if unknown := [name for name in wanted if name not in there]:
        raise InvalidInput(f"--by must be of {', '.join(there)}; no case has {', '.join(unknown)}")
    return wanted


def _read_file(file: Path) -> Iterator[Case]:
    Privacy([]).check("complete", file)
    try:
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        with io.StringIO(data.decode("utf-8"), newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _case(line, f"{file}:{number}")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} must be infill cases in UTF-8, byte {error.start} is not") from error
    except (OSError, EOFError) as error:
        raise InvalidInput(f"{file} must be a file of infill cases: {reason_of(error)}") from error


def _case(line: str, place: str) -> Case:
    try:
        row = json.loads(line)
        row = _from_human_eval(row) if "canonical_solution" in row else row
        texts = {name: row[name] for name in ("prefix", "suffix", "reference")}
        mode = row.get("mode") or ("multi" if "\n" in texts["reference"].strip("\n") else "single")
        return Case(
            str(row["id"]),
            row["lang"],
            **texts,
            mode=mode,
            kind=row.get("kind", ""),
            tags=row.get("tags") or {},
            snippets=tuple(piece_of(s["path"], s["text"]) for s in row.get("snippets") or ()),
            test=_test(row),
        )
    except KeyError as error:
        raise InvalidInput(f"{place} must be a case with {_NEEDED}: it has no {error}") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise InvalidInput(f"{place} must be a case as a JSON object with {_NEEDED}: {error}") from error


def _from_human_eval(row: dict[str, Any]) -> dict[str, Any]:
    """A row of HumanEval-Infilling as a case; a reference of whole lines leaves its last line end to the suffix."""
    reference, suffix = row["canonical_solution"], row["suffix"]
    if reference.endswith("\n"):
        reference, suffix = reference[:-1], "\n" + suffix
    return {
        "id": row["task_id"],
        "lang": "python",
        "prefix": row["prompt"],
        "suffix": suffix,
        "reference": reference,
        "test": row["test"],
        "entry_point": row["entry_point"],
    }


def _test(row: dict[str, Any]) -> str:
    """The code that follows the document: a `check` that nobody calls would pass whatever the document says.

    It begins in a line of its own, though the document may end without a line end. Nothing for other languages than
    Python, whose tests are not run.
    """
    test, name = row.get("test") or "", row.get("entry_point")
    if not test or row["lang"] != "python":
        return ""
    test = "\n" + test
    if not name:
        return test
    call = f"check({name})"
    if not str(name).isidentifier() or "def check(" not in test:
        raise ValueError(f"a test of {name!r} must define check, which is called with it")
    return test if re.search(rf"^{re.escape(call)}", test, re.MULTILINE) else f"{test}\n{call}\n"
