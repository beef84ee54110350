"""Every way that text of files takes to a model, and what keeps a file from it."""

import ast
from contextlib import suppress
from pathlib import Path

import pytest
from doors import DOORS, GIT, MARK, OWN, SECRET, piece_beside, piece_for_a_team, piece_over_http, signature_of_an_import

from coder_model.errors import CorpusError
from coder_model.types import InvalidInput
from lsp_server.backends.base import BackendUnavailable
from shared_server.problems import Problem

ROOT = Path(__file__).parents[1]
PIECE_DOORS = {piece_beside, signature_of_an_import, piece_over_http, piece_for_a_team}
TAKERS = {"FillRequest", "piece_of", "shown_pieces", "files", "AsyncClient"}
"""Calls that make a request or a piece of a prompt, read a corpus, or open a connection."""
NO_FILES = {
    "shared_server/key_set.py": "fetches keys of an identity provider, and sends nothing",
    "lsp_server/backends/served_apis.py": "is given its text by the two shapes.py",
    "coder_model/engine/suggestion_time.py": "asks for a place of its own text",
    "coder_model/evaluation/run.py": "has its text from cases.py",
    "lsp_server/next_edit.py": "is given its text by edit_offers.py",
    "unmask_cli/doctor.py": "asks for a place of its own text",
    "coder_model/training/sources.py": "reads the licence of a project itself",
}


@pytest.fixture
def project(tmp_path):
    """A folder with a repository, and with one file that each of the rules speaks of."""
    folder = tmp_path / "projects" / "shop"
    (folder / ".git").mkdir(parents=True)
    (folder / ".unmaskignore").write_text(f"{OWN}/\n")
    (folder / ".gitignore").write_text(f"{GIT}/\n")
    return folder


@pytest.mark.parametrize("place", [SECRET, OWN, GIT, "shown"])
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.through.__name__)
def test_each_door_lets_through_what_the_rule_allows_and_nothing_else(door, place, project, monkeypatch):
    file = project / place / door.name
    file.parent.mkdir()
    file.write_text(door.text)
    seen = ""
    with suppress(InvalidInput, CorpusError, BackendUnavailable, Problem):
        seen = door.through(file, monkeypatch)
    assert (MARK in seen) == (place not in door.kept)


def test_no_key_goes_through_a_door_for_pieces_of_other_files(project, monkeypatch):
    key = "ghp_" + "aB3dE6gH9j" * 4
    for door in (one for one in DOORS if one.through in PIECE_DOORS):
        file = project / "shown" / door.name
        file.parent.mkdir(exist_ok=True)
        file.write_text(door.text.replace("items", f'items="{key}", more', 1))
        seen = door.through(file, monkeypatch)
        assert MARK in seen
        assert key not in seen, door.through.__name__


def callers_of(*names):
    """Modules that call one of these, by the last word of its name."""
    return {
        file.relative_to(ROOT).as_posix()
        for package in ("coder_model", "lsp_server", "unmask_cli", "shared_server")
        for file in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in names
    }


def test_whatever_takes_text_to_a_model_is_a_door():
    assert callers_of(*TAKERS) == {door.module for door in DOORS} | NO_FILES.keys()


def test_pieces_of_other_files_are_made_in_one_place():
    assert callers_of("Snippet") == {"coder_model/text/pieces.py"}
    assert "lsp_server/backends/served_apis.py" in callers_of("piece_of")
