import os

import pytest

from coder_model.text.privacy import Privacy
from lsp_server.documents import Documents
from lsp_server.imports import MAX_FILE_BYTES, Imports

MODELS = "class Order:\n    def __init__(self, number):\n        self.number = number\n\n\ndef unused():\n    pass\n"
SHOWN = "class Order:\n    def __init__(self, number):\n"
NEAR = "order = Order("


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "models.py").write_text(MODELS)
    return tmp_path


@pytest.fixture
def documents():
    return Documents()


@pytest.fixture
def imports(workspace, documents):
    return Imports(documents, Privacy([workspace]))


def opened(documents, workspace, name, text, language="python"):
    uri = (workspace / name).as_uri()
    documents.open(uri, language, 1, text)
    return documents.get(uri)


@pytest.mark.parametrize(
    "line",
    [
        "from app.models import Order",
        "from .models import Order",
        "from ..app.models import Order",
        "from models import Order",
    ],
)
def test_signatures_of_what_is_used_are_shown(imports, documents, workspace, line):
    here = opened(documents, workspace, "app/views.py", f"import os\n{line}\n\n{NEAR}")
    (snippet,) = imports.snippets(here, NEAR)
    assert (snippet.path, snippet.text) == ("models.py", SHOWN)
    assert imports.snippets(here, "something = else_") == []


def test_a_module_that_is_imported_whole_shows_all_it_offers(imports, documents, workspace):
    here = opened(documents, workspace, "main.py", "import app.models\n")
    (snippet,) = imports.snippets(here, "app.models.")
    assert snippet.text == SHOWN + "def unused():\n"


def test_typescript_finds_the_file_by_its_ending(imports, documents, workspace):
    (workspace / "user.ts").write_text("export interface User { name: string }\n")
    here = opened(documents, workspace, "main.tsx", "import { User } from './user';\n", "typescriptreact")
    (snippet,) = imports.snippets(here, "const user: User = ")
    assert snippet.text == "interface User { name: string }\n"


@pytest.mark.parametrize(
    ("name", "module", "language"),
    [
        ("user.ts", "./user.js", "typescript"),
        ("user.tsx", "./user.jsx", "typescriptreact"),
        ("user.d.ts", "./user.js", "javascript"),
        ("user.mts", "./user.mjs", "typescript"),
        ("user.cts", "./user.cjs", "typescript"),
        ("user.ts", "./user.ts", "typescript"),
        ("user.js", "./user.js", "javascript"),
        ("user.mjs", "./user.mjs", "javascript"),
        ("user.mjs", "./user", "javascript"),
        ("user.cjs", "./user.cjs", "javascript"),
        ("user.service.ts", "./user.service", "typescript"),
    ],
)
def test_a_module_is_found_by_the_name_that_it_will_have(imports, documents, workspace, name, module, language):
    (workspace / name).write_text("export class User {}\n")
    here = opened(documents, workspace, "main", f"import {{ User }} from '{module}';\n", language)
    (snippet,) = imports.snippets(here, "new User(")
    assert (snippet.path, snippet.text) == (name, "class User\n")


def test_what_the_editor_has_counts_not_the_disk(imports, documents, workspace):
    here = opened(documents, workspace, "app/views.py", "from .models import Order\n")
    opened(documents, workspace, "app/models.py", "class Order(New):\n    pass\n")
    (snippet,) = imports.snippets(here, NEAR)
    assert snippet.text == "class Order(New):\n"


def test_a_change_on_the_disk_is_seen(imports, documents, workspace):
    here = opened(documents, workspace, "app/views.py", "from .models import Order\n")
    assert imports.snippets(here, NEAR)
    (workspace / "app" / "models.py").write_text("class Order(Changed):\n    pass\n")
    os.utime(workspace / "app" / "models.py", ns=(1, 1))
    assert "Changed" in imports.snippets(here, NEAR)[0].text


def test_nothing_is_read_outside_of_the_workspace(imports, documents, workspace, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "models.py").write_text(MODELS)
    (workspace / "link.py").symlink_to(outside / "models.py")
    for line in ("from link import Order", "from .....outside0.models import Order"):
        assert imports.snippets(opened(documents, workspace, "main.py", line + "\n"), NEAR) == []
    there = opened(documents, outside, "main.py", "from models import Order\n")
    assert imports.snippets(there, NEAR) == []
    untitled = documents.open("untitled:a.py", "python", 1, "from app.models import Order\n")
    assert untitled is None
    assert imports.snippets(documents.get("untitled:a.py"), NEAR) == []


def test_what_is_no_regular_file_or_secret_or_ignored_or_huge_is_not_read(imports, documents, workspace):
    here = opened(documents, workspace, "app/views.py", "from .models import Order\n")
    (workspace / ".gitignore").write_text("models.py\n")
    assert imports.snippets(here, NEAR) == []
    (workspace / ".gitignore").unlink()
    file = workspace / "app" / "models.py"
    file.write_text(MODELS + "#" * MAX_FILE_BYTES)
    assert imports.snippets(here, NEAR) == []
    file.unlink()
    os.mkfifo(file)
    assert imports.snippets(here, NEAR) == []
    file.unlink()
    file.mkdir()
    assert imports.snippets(here, NEAR) == []
    (workspace / "secrets").mkdir()
    (workspace / "secrets" / "x.py").write_text(
        'class Order:\n    def __init__(self, password="hunter2hunter2"):\n        ...\n'
    )
    here = opened(documents, workspace, "main.py", "from secrets.x import Order\n")
    assert "hunter2" not in str(imports.snippets(here, NEAR))


@pytest.mark.parametrize("module", ["./a\0b", "./" + "x" * 5_000, "./circle", "....", "./"])
def test_names_that_no_file_can_have_find_nothing(imports, documents, workspace, module):
    (workspace / "circle.ts").symlink_to(workspace / "circle.ts")
    here = opened(documents, workspace, "main.ts", f"import {{ Order }} from '{module}';\n", "typescript")
    assert imports.snippets(here, NEAR) == []
    assert Privacy([workspace]).may("complete", (workspace / "circle.ts").as_uri())


def test_a_secret_goes_before_what_is_shown_is_cut(imports, documents, workspace):
    heads = "".join(f"def a{n}(): pass\n" for n in range(10, 63))
    (workspace / "keys.py").write_text(heads + 'def f(key="ghp_' + "a1B2c3D4e5" * 4 + '"): pass\n')
    here = opened(documents, workspace, "main.py", "import keys\n")
    (snippet,) = imports.snippets(here, "keys.")
    assert "def a62()" in snippet.text
    assert "ghp_" not in snippet.text


@pytest.mark.parametrize(("link", "file"), [("private/order.py", "app/models.py"), ("order.py", "private/models.py")])
def test_a_link_counts_by_its_own_name_and_by_that_of_its_file(imports, documents, workspace, link, file):
    (workspace / "private").mkdir()
    (workspace / file).write_text(MODELS)
    (workspace / link).symlink_to(workspace / file)
    module = link.removesuffix(".py").replace("/", ".")
    here = opened(documents, workspace, "main.py", f"from {module} import Order\n")
    assert imports.snippets(here, NEAR)
    (workspace / ".unmaskignore").write_text("private/\n")
    assert imports.snippets(here, NEAR) == []
