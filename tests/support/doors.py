"""Every way that text of files takes to a model: a function for each, which returns what a model would see."""

import asyncio
import json
import subprocess
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace

from fake_service import FakeService
from lsprotocol import types
from remote_requests import said, settings

from coder_model.engine.options import EngineOptions
from coder_model.evaluation.cases import read_cases
from coder_model.text.privacy import Privacy
from coder_model.training.own_code import files_of
from coder_model.training.sources import in_folders
from coder_model.types import Draft, FillRequest, InvalidInput
from lsp_server.alternatives import Alternatives
from lsp_server.backends.remote import RemoteBackend
from lsp_server.completion import Completer
from lsp_server.context import Context
from lsp_server.documents import Documents, Position
from lsp_server.edit_offers import EditOffers
from lsp_server.hole_actions import HoleActions
from lsp_server.imports import Imports
from lsp_server.settings import Settings
from lsp_server.status import Announcer
from lsp_server.usage_stats import UsageStats
from lsp_server.user_settings import UserSettings
from lsp_server.watching import Watching
from shared_server.shapes import read_edit, read_fim
from shared_server.shapes import read_infill as read_team_infill
from unmask_cli import fill, fill_holes, rewrite
from unmask_cli.endpoint.shapes import read_completion, read_infill
from unmask_cli.play.visit import Opened, Visit

MARK = "total_price_of_the_order"
PYTHON = (
    f"class Order:\n    def {MARK}(self, items):\n        pass\n" + "# a line of some length, so that it is code\n" * 8
)
TYPESCRIPT = f"export function {MARK}(items: number[]): number {{\n  return 0;\n}}\n"
SECRET, OWN, GIT = ".aws", "kept", "built"
"""Folders that a rule keeps back: by its name, by `.unmaskignore`, by `.gitignore`."""


class Listening:
    """A backend that notes what it is asked."""

    state, remark, description, on_change, serving, judges = "ready", "", "", None, None, True
    reason, share_loaded, ready, editor = "", 1.0, None, None

    def __init__(self):
        self.heard = ""

    async def start(self): ...

    async def wait_ready(self): ...

    async def close(self): ...

    def warm(self, asked):
        self.heard += asked.prefix + (asked.judged or "") + asked.suffix

    async def fill(self, asked, watch=False):
        self.warm(asked)
        yield Draft("", True, 1.0, 0, 0, 0.0)


def completer_for(file):
    documents, backend = Documents(), Listening()
    documents.open(file.as_uri(), "python", 1, file.read_text())
    context = Context(documents, Privacy([]))
    return Completer(documents, backend, context, Settings(), UsageStats()), backend, documents, context


def completion(file, _monkeypatch):
    completer, backend, _, _ = completer_for(file)
    asyncio.run(completer.complete(file.as_uri(), Position(2, 12), invoked=True))
    return backend.heard


def warming(file, _monkeypatch):
    completer, backend, _, _ = completer_for(file)
    completer.warm(file.as_uri(), Position(2, 12))
    return backend.heard


def watched_fill(file, _monkeypatch):
    completer, backend, documents, context = completer_for(file)
    protocol = SimpleNamespace(notify=lambda *_: None)
    watching = Watching(SimpleNamespace(protocol=protocol), documents, Announcer(SimpleNamespace(protocol=protocol)))
    watching.serve_with(completer, context, backend)
    asyncio.run(watching.execute([{"uri": file.as_uri(), "version": 1, "position": [2, 12]}]))
    return backend.heard


def alternatives(file, _monkeypatch):
    completer, backend, documents, context = completer_for(file)
    panel = Alternatives(documents, Announcer(SimpleNamespace(protocol=SimpleNamespace(notify=lambda *_, **__: None))))
    panel.serve_with(completer, context, backend)
    asyncio.run(panel.execute([{"uri": file.as_uri(), "version": 1, "position": [2, 12]}]))
    return backend.heard


def code_action(file, _monkeypatch):
    completer, backend, documents, context = completer_for(file)
    holes = HoleActions(None, documents, None)
    holes.serve_with(completer, context, backend)
    place = types.Range(types.Position(0, 0), types.Position(0, 0))
    parameters = types.CodeActionParams(types.TextDocumentIdentifier(file.as_uri()), place, types.CodeActionContext([]))
    return file.read_text() if holes.offered(parameters) else ""


def next_edit(file, _monkeypatch):
    completer, backend, documents, context = completer_for(file)
    documents.get(file.as_uri()).replace(Position(2, 8), Position(2, 12), "return 1")
    offers = EditOffers(documents, Counter())
    offers.serve_with(completer, context, backend)
    asyncio.run(offers.offer(file.as_uri(), None, Position(2, 8)))
    return backend.heard


def piece_beside(file, _monkeypatch):
    _, _, documents, context = completer_for(file)
    here = file.parents[1] / "here.py"
    documents.open(here.as_uri(), "python", 1, f"import os\n\n{MARK} class Order items self\n")
    return "".join(piece.text for piece in context.snippets(documents.get(here.as_uri()), 2))


def signature_of_an_import(file, _monkeypatch):
    documents = Documents()
    here = file.parents[1] / "here.ts"
    documents.open(here.as_uri(), "typescript", 1, f"import {{ {MARK} }} from './{file.parent.name}/{file.stem}';\n")
    found = Imports(documents, Privacy([])).snippets(documents.get(here.as_uri()), f"{MARK}(")
    return "".join(piece.text for piece in found)


def command_fill(file, monkeypatch):
    backend = Listening()
    monkeypatch.setattr(fill, "chosen_backend", lambda *_: backend)
    asyncio.run(fill.fill_file(file, "3:13", "auto", EngineOptions(), UserSettings(), None, watch=False, as_json=False))
    return backend.heard


def command_all_holes(file, monkeypatch):
    backend = Listening()
    monkeypatch.setattr(fill_holes, "chosen_backend", lambda *_: backend)
    asyncio.run(fill_holes.fill_holes(file, EngineOptions(), UserSettings(), None, write=False))
    return backend.heard


def command_rewrite(file, monkeypatch):
    backend = Listening()
    monkeypatch.setattr(rewrite, "chosen_backend", lambda *_: backend)
    with suppress(InvalidInput):
        asyncio.run(rewrite.rewrite_lines(file, "1:3", "light", "", UserSettings(), write=False))
    return backend.heard


def command_play(file, _monkeypatch):
    backend = Listening()
    backend.make = lambda: backend
    shelf = SimpleNamespace(rungs={"": backend}, first="", choices=list)

    async def said():
        opened = Opened.of(file)
        yield json.dumps({"type": "fill", "id": 1, "prefix": opened.text, "suffix": "", "path": opened.name})
        async with asyncio.timeout(10):
            while not backend.heard:
                await asyncio.sleep(0)

    async def send(_): ...

    async def visit():
        await Visit("play", shelf, Opened.of(file), send).answer(said())

    asyncio.run(visit())
    return backend.heard


def endpoint_over_http(file, _monkeypatch):
    body = json.dumps({"prompt": file.read_text(), "suffix": "", "path": str(file)})
    return read_completion(body.encode()).request("http", "manual").prefix


def piece_over_http(file, _monkeypatch):
    body = json.dumps({"prompt": "x = ", "input_extra": [{"filename": str(file), "text": file.read_text()}]})
    return "".join(piece.text for piece in read_infill(body.encode()).request("http", "manual").snippets)


def sent_to_a_team(file, _monkeypatch):
    body = json.dumps({"prompt": file.read_text(), "path": str(file)})
    return read_fim(body.encode()).request("team").prefix


def piece_for_a_team(file, _monkeypatch):
    text, name = file.read_text(), str(file)
    edited = (
        f"<|recently_viewed_code_snippet|>\ncode_snippet_file_path: {name}\n{text}\n"
        "<|/recently_viewed_code_snippet|>\n<|current_file_content|>\n<|code_to_edit|>\n<|cursor|>\n"
        "<|/code_to_edit|>\n<|/current_file_content|>"
    )
    piece = {"filename": name, "text": text}
    sent = (
        (read_fim, {"prompt": "x", "snippets": [piece]}),
        (read_team_infill, {"input_prefix": "", "input_suffix": "", "input_extra": [piece]}),
        (read_edit, {"messages": [{"role": "user", "content": edited}]}),
    )
    seen = [read(json.dumps(body).encode()).request("team").snippets for read, body in sent]
    assert len({bool(one) for one in seen}) == 1
    return "".join(piece.text for one in seen for piece in one)


def command_eval(file, _monkeypatch):
    case = {"id": "1", "lang": "python", "prefix": MARK, "suffix": "", "reference": "1"}
    file.write_text(json.dumps(case))
    return read_cases(file)[0].prefix


def corpus_of_projects(file, _monkeypatch):
    (project,) = [one for one in in_folders([file.parents[2]], {}) if one.path == file.parents[1]]
    return "".join(data.decode() for path, data in project.files(lambda path: path.endswith(".py")))


def own_code(file, _monkeypatch):
    for name in ("one", "two"):
        (file.parents[1] / f"{name}.py").write_text(f"# the file of the number {name}\n" * 20)
    return "".join(text for _, text in files_of(file.parents[1]))


def bare_repository(file, _monkeypatch):
    for name in ("one", "two"):
        (file.parents[1] / f"{name}.py").write_text(f"# the file of the number {name}\n" * 20)
    git = ["git", "-C", str(file.parents[1]), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for arguments in ("init -q", "add -f .", "commit -qm all", "clone -q --bare . bare"):
        subprocess.run([*git, *arguments.split()], check=True, capture_output=True)
    return "".join(text for _, text in files_of(file.parents[1] / "bare"))


def remote_service(file, _monkeypatch):
    async def sent():
        async with FakeService() as service:
            backend = RemoteBackend(settings(service))
            try:
                await said(backend, FillRequest("s", file.read_text(), "", path=file.as_uri()))
            finally:
                await backend.close()
            return json.dumps(service.bodies)

    return asyncio.run(sent())


@dataclass(frozen=True)
class Door:
    through: object
    """(file, monkeypatch) -> what of it a model would see."""
    module: str
    """Where the text is taken."""
    kept: tuple[str, ...] = (SECRET, OWN)
    name: str = "orders.py"
    text: str = PYTHON


DOORS = [
    Door(completion, "lsp_server/place.py"),
    Door(warming, "lsp_server/place.py"),
    Door(watched_fill, "lsp_server/place.py"),
    Door(alternatives, "lsp_server/place.py"),
    Door(code_action, "lsp_server/edit_command.py"),
    Door(next_edit, "lsp_server/edit_offers.py"),
    Door(piece_beside, "lsp_server/context.py", (SECRET, OWN, GIT)),
    Door(signature_of_an_import, "lsp_server/imports.py", (SECRET, OWN, GIT), "orders.ts", TYPESCRIPT),
    Door(command_fill, "unmask_cli/fill.py"),
    Door(command_all_holes, "unmask_cli/fill_holes.py"),
    Door(command_rewrite, "unmask_cli/rewrite.py"),
    Door(command_play, "unmask_cli/play/visit.py"),
    Door(endpoint_over_http, "unmask_cli/endpoint/shapes.py"),
    Door(piece_over_http, "unmask_cli/endpoint/shapes.py", (SECRET, OWN, GIT)),
    # names of files on another machine: the ignore files there are asked there
    Door(sent_to_a_team, "shared_server/shapes.py", (SECRET,)),
    Door(piece_for_a_team, "shared_server/shapes.py", (SECRET,)),
    Door(command_eval, "coder_model/evaluation/cases.py", name="cases.jsonl"),
    Door(corpus_of_projects, "coder_model/training/corpus.py", (SECRET, OWN, GIT)),
    Door(own_code, "coder_model/training/own_code.py", (SECRET, OWN, GIT)),
    Door(bare_repository, "coder_model/training/own_code.py"),
    Door(remote_service, "lsp_server/backends/remote.py", (SECRET,)),
]
