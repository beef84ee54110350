import pytest

from coder_model.text.privacy import Privacy
from lsp_server import context as context_module
from lsp_server.context import DOCUMENTS, MOST_CHARS, PIECE_LINES, STAY_LINES, Context
from lsp_server.documents import Documents, Position
from lsp_server.imports import Imports

ORDERS = "def total_price(orders):\n    return sum(order.price for order in orders)\n"
USERS = "class Account:\n    def __init__(self, username):\n        self.username = username\n"
NEAR = "from shop import total_price\n\n\ndef report(orders):\n    "


@pytest.fixture
def documents():
    return Documents()


@pytest.fixture
def context(documents):
    return Context(documents, Privacy([]))


def opened(documents, name, text):
    documents.open(f"file:///{name}", "python", 1, text)
    return documents.get(f"file:///{name}")


def test_the_piece_most_like_the_lines_before_the_cursor_is_shown(documents, context):
    opened(documents, "users.py", USERS)
    opened(documents, "orders.py", "\n" * PIECE_LINES + ORDERS)
    here = opened(documents, "here.py", NEAR)
    (snippet,) = context.snippets(here, 4)
    assert (snippet.path, snippet.text) == ("/orders.py", ORDERS)


def test_the_document_itself_is_no_snippet(documents, context):
    here = opened(documents, "here.py", NEAR + ORDERS)
    assert context.snippets(here, 4) == ()


def test_the_choice_stays_while_the_cursor_is_near(documents, context):
    orders = opened(documents, "orders.py", ORDERS)
    here = opened(documents, "here.py", NEAR + "\n" * 40)
    first = context.snippets(here, 4)
    orders.replace(Position(0, 0), Position(0, 0), "# changed\n")
    assert context.snippets(here, 4 + STAY_LINES) is first
    assert context.snippets(here, 30) == ()
    assert context.snippets(here, 4)[0].text == "# changed\n" + ORDERS


def test_a_document_that_was_closed_still_helps_until_others_came(documents, context):
    orders = opened(documents, "orders.py", ORDERS)
    here = opened(documents, "here.py", NEAR)
    context.closing(orders)
    documents.close(orders.uri)
    assert context.snippets(here, 4)
    for i in range(DOCUMENTS):
        opened(documents, f"{i}.py", "x = 1\n")
    context.closing(here)
    assert context.snippets(here, 4) == ()


def test_a_file_that_changed_while_it_was_closed_is_read_again(documents, context):
    orders = opened(documents, "orders.py", ORDERS)
    context.closing(orders)
    documents.close(orders.uri)
    opened(documents, "orders.py", "# changed\n" + ORDERS)
    (snippet,) = context.snippets(opened(documents, "here.py", NEAR), 4)
    assert snippet.text.startswith("# changed\n")


def test_secrets_are_not_shown(documents, context):
    opened(documents, ".env", ORDERS)
    opened(documents, "orders.py", ORDERS + "password = 'hunter2!'\n")
    here = opened(documents, "here.py", NEAR)
    (snippet,) = context.snippets(here, 4)
    assert snippet.path == "/orders.py"
    assert "hunter2" not in snippet.text


def test_a_secret_that_goes_over_two_pieces_is_in_neither(documents, context):
    lines = ["a: total_price"] * (PIECE_LINES - 1) + ["password: |", "  hunter2!"] + ["b: total_price"] * 3
    documents.open("file:///a.yaml", "yaml", 1, "\n".join(lines))
    shown = "".join(snippet.text for snippet in context.snippets(opened(documents, "here.py", NEAR), 4))
    assert "a: total_price" in shown
    assert "b: total_price" in shown
    assert "hunter2" not in shown


def test_of_very_long_lines_a_part_is_read_and_shown(documents, context, monkeypatch):
    asked = []
    monkeypatch.setattr(Imports, "snippets", lambda self, document, near: asked.append(near) or [])
    opened(documents, "data.py", "total_price(orders) " * 200_000)
    here = opened(documents, "here.py", NEAR + "total_price(orders) " * 200_000)
    (snippet,) = context.snippets(here, 4)
    assert len(snippet.text) == MOST_CHARS
    assert [len(near) for near in asked] == [MOST_CHARS]


@pytest.mark.parametrize("at", [0, 4, 8, 20, 43])
def test_a_secret_that_a_piece_is_cut_in_is_not_shown(documents, context, at):
    secret = "ghp_" + "a1B2c3D4e5" * 4
    words = "total_price(orders) " * 200
    opened(documents, "data.py", words[at:] + secret + " " + words)
    (snippet,) = context.snippets(opened(documents, "here.py", NEAR), 4)
    assert "ghp_" not in snippet.text


def test_lone_surrogates_and_empty_documents_do_no_harm(documents, context):
    opened(documents, "orders.py", ORDERS + "\ud83d")
    opened(documents, "empty.py", "")
    (snippet,) = context.snippets(opened(documents, "here.py", NEAR), 4)
    assert snippet.text.endswith("\ufffd")
    assert context.snippets(opened(documents, "nothing.py", ""), 0) == ()


def test_what_there_is_no_time_for_is_read_at_the_next_request(documents, context, monkeypatch):
    opened(documents, "orders.py", ORDERS)
    here = opened(documents, "here.py", NEAR)
    monkeypatch.setattr(context_module, "BUDGET_S", 0.0)
    assert context.snippets(here, 4) == ()
    monkeypatch.setattr(context_module, "BUDGET_S", 1.0)
    assert context.snippets(here, 4)


def test_what_is_used_of_imported_files_stands_first(documents, tmp_path):
    (tmp_path / "shop.py").write_text("def total_price(orders):\n    return 0\n")
    context = Context(documents, Privacy([tmp_path]))
    opened(documents, "orders.py", ORDERS)
    documents.open((tmp_path / "here.py").as_uri(), "python", 1, NEAR + "total_price(")
    first, second = context.snippets(documents.get((tmp_path / "here.py").as_uri()), 4)
    assert (first.path, first.text) == ("shop.py", "def total_price(orders):\n")
    assert second.text == ORDERS


SHOP = (
    "def total_price(orders):\n    return sum(order.price for order in orders)\n\n\ndef report(orders):\n    return \n"
)


@pytest.mark.parametrize(
    "uri",
    [
        "git:/shop.py?%7B%22ref%22%3A%22HEAD%22%7D",
        "file:///old_name.py",
        "untitled:Untitled-1",
        "gitlens://0a1b2c/shop.py?x",
        "vscode-scm:git/scm0/input?rootUri",
    ],
)
@pytest.mark.parametrize("change", ["", "    # changed since\n"])
@pytest.mark.parametrize("closed", [True, False])
def test_another_copy_of_the_document_is_no_snippet(documents, context, uri, change, closed):
    documents.open(uri, "python", 1, change + SHOP)
    if closed:
        context.closing(documents.get(uri))
        documents.close(uri)
    here = opened(documents, "shop.py", SHOP)
    assert context.snippets(here, 5) == ()


def test_a_file_that_shares_a_line_is_a_snippet(documents, context):
    opened(
        documents,
        "other.py",
        "import json\n" + ORDERS + "\n\ndef other_orders(orders):\n    return json.dumps(orders)\n",
    )
    here = opened(documents, "here.py", "import json\n\n\ndef report(orders):\n    return total_price(\n")
    assert context.snippets(here, 4)


def test_cells_of_a_notebook_see_each_other(documents, context):
    cell = "vscode-notebook-cell:/work/a.ipynb#{}"
    documents.open(cell.format("W0"), "python", 1, "import shop\n" + ORDERS)
    documents.open(cell.format("W1"), "python", 1, NEAR + "0\n")
    documents.open(cell.format("W2"), "python", 1, "import shop\n" + NEAR)
    shown = [snippet.text for snippet in context.snippets(documents.get(cell.format("W2")), 5)]
    assert shown == ["import shop\n" + ORDERS]
