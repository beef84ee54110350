"""The real 0.5B, where it lies on this machine: no empty answer where a line is wanted."""

import gguf_files
import pytest

from coder_model.checkpoints.open import open_single
from coder_model.runtime.passes import Commit
from coder_model.types import FillRequest

DOCSTRING = '    """Return {}.\n\n    >>> {}(3)\n    """\n'
CASES = {
    "behind a docstring": ("def double(a):\n" + DOCSTRING.format("twice a", "double") + "\n", ""),
    "behind two blank lines": ("def double(a):\n" + DOCSTRING.format("twice a", "double") + "\n\n", ""),
    "behind a line of blanks": (
        "def count(word):\n    found = 0\n    for letter in word:\n      \n",
        "        found += 1\n",
    ),
    "behind a blank at a line's end": ("def total(values):\n    result = 0 \n", "    return result\n"),
    "before a line that is likely": ("def total(values):\n    result = 0\n", "    return result\n"),
    "inside a bracket": ("def total(values):\n    return sum(", ")\n"),
}


@pytest.fixture(scope="module")
def engine():
    return open_single(str(gguf_files.real_file()), quantize="bfloat16")


@pytest.mark.parametrize("kind", CASES)
def test_a_line_that_is_wanted_is_not_empty(engine, kind):
    prefix, suffix = CASES[kind]
    *_, draft = engine.fill(FillRequest(kind, prefix, suffix, path="a.py", language="python"))
    assert draft.text.strip()
    assert not draft.text.strip().startswith("#")


def test_typing_on_reads_only_what_is_new(engine, monkeypatch):
    text = "def total(values):\n    result = 0\n    for value in values:\n        result += val"
    list(engine.fill(FillRequest("typing", text, "\n    return result\n", path="a.py")))
    passes, run = [], engine._runner.run
    monkeypatch.setattr(engine._runner, "run", lambda work: passes.append(work) or run(work))
    list(engine.fill(FillRequest("typing", text + "u", "\n    return result\n", path="a.py")))
    # all but the tokens that are new are a draft, and what follows each of those is wanted
    commits = [work for work in passes if isinstance(work, Commit)]
    assert commits
    assert all(len(work.tokens) <= work.wanted + 1 for work in commits)
