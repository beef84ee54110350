"""What is asked of a model at a cursor."""

import pytest

from coder_model.text.privacy import Privacy
from lsp_server.context import Context
from lsp_server.documents import Documents, Position
from lsp_server.place import fill_request, place_at, warm_request
from lsp_server.settings import Settings

LINE = "total_price = \n"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///work/a.py", "/work/a.py"),
        ("file:///work/%D0%BE%D1%82%D1%87%D1%91%D1%82.py", "/work/отчёт.py"),
        ("file:///c%3A/work/a%20b.py", "/work/a b.py"),
        ("vscode-notebook-cell:/work/a.ipynb#W0sZmlsZQ%3D%3D", "/work/a.ipynb"),
        ("untitled:Untitled-1", "Untitled-1"),
        ("file:///work/\ud83d.py", "/work/\ufffd.py"),
    ],
)
def test_a_model_is_shown_the_names_of_files_in_letters(uri, path):
    documents = Documents()
    documents.open(uri, "python", 1, LINE)
    documents.open("file:///work/here.py", "python", 1, "print(total_price)\n")
    context, document, other = (
        Context(documents, Privacy([])),
        documents.get(uri),
        documents.get("file:///work/here.py"),
    )
    place = place_at(document, Position(0, 14), invoked=True, selected=None)
    assert fill_request(place, Settings(), context).path == path
    assert warm_request(document, Position(0, 14), context).path == path
    assert [snippet.path for snippet in warm_request(other, Position(0, 14), context).snippets] == [path]
