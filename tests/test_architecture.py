"""The arrows between packages, read off the source."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "unmask_cli": ROOT / "unmask_cli",
    "shared_server": ROOT / "shared_server",
    "lsp_server": ROOT / "lsp_server",
    "coder_model": ROOT / "coder_model",
    "coder_kernels": ROOT / "kernels/coder_kernels",
}
SOURCES = [(name, file) for name, folder in PACKAGES.items() for file in sorted(folder.rglob("*.py"))]
TESTS = ROOT / "tests"
TEST_FILES = sorted(TESTS.glob("*/**/test_*.py"))
BELOW = {
    "unmask_cli": {"shared_server", "lsp_server", "coder_model"},
    "shared_server": {"lsp_server", "coder_model"},
    "lsp_server": {"coder_model"},
    "coder_model": {"coder_kernels"},
    "coder_kernels": set(),
}
TORCH_FREE = {"errors.py", "types.py", "text", "worker", "engine/options.py"}
TORCH_FREE |= {f"checkpoints/{name}.py" for name in ("catalogue", "hub", "local_caches", "package_index")}
TORCH_FREE |= {f"checkpoints/{name}.py" for name in ("prepared_files", "single_file", "store", "transfer")}
TORCH_FREE = {
    file.relative_to(ROOT / "coder_model").as_posix()
    for name in TORCH_FREE
    for file in ([ROOT / "coder_model" / name] if name.endswith(".py") else (ROOT / "coder_model" / name).glob("*.py"))
}
ROOMS = (
    "types",
    "errors",
    "ranges",
    "whole_file",
    "text",
    "prompt",
    "model",
    "runtime",
    "decoding",
    "engine",
    "checkpoints",
    "worker",
    "evaluation",
    "training",
)
"""Of `coder_model`: each may use those before it."""
NETWORK = {
    "huggingface_hub": "coder_model/checkpoints/hub.py",
    "httpx2": "shared_server/key_set.py lsp_server/backends/remote.py",
    "websockets": "unmask_cli/play/server.py",
    "uvicorn": "unmask_cli/endpoint/server.py shared_server/listener.py",
    "opentelemetry": "shared_server/traces.py",
    "ray": "shared_server/ray_cluster.py shared_server/ray_engine.py",
}
"""What opens connections, or waits for them, and the module that may use it, or the two: when the user asked for it by
name."""
PROGRAMS = {
    "coder_model/checkpoints/package_index.py",
    "coder_model/evaluation/run.py",
    "coder_model/evaluation/sandbox.py",
    "coder_model/training/sources.py",
    "lsp_server/backends/worker_socket.py",
}
"""What starts programs: pip, which opens connections for a pull; git; cases of an evaluation; our own worker."""
SOCKETS = {"coder_model/worker/connections.py", "coder_model/worker/main.py", "lsp_server/backends/worker_socket.py"}
SOCKETS |= {"shared_server/listener.py"}
"""What knows sockets, those of the Unix domain, and that of `unmask serve`."""


def imports(file, top_level_only=False):
    tree = ast.parse(file.read_text("utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def users_of(module):
    """The modules that import one of ours, anywhere in their text."""
    return {file.relative_to(ROOT).as_posix() for _, file in SOURCES if any(module in name for name in named(file))}


def named(file):
    """What a module imports, with the names after `from`."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def roots(file, **more):
    return {name.split(".")[0] for name in imports(file, **more)}


@pytest.mark.parametrize(
    ("package", "file"), SOURCES, ids=lambda x: x if isinstance(x, str) else str(x.relative_to(ROOT))
)
def test_arrows_go_one_way(package, file):
    used = roots(file)
    assert used & PACKAGES.keys() <= BELOW[package] | {package}
    if package != "lsp_server":
        assert not used & {"pygls", "lsprotocol"}
    if package != "unmask_cli":
        assert "typer" not in used
    if package == "shared_server":
        of_the_server = {name for name in imports(file) if name.startswith("lsp_server.")}
        assert all(name.startswith(("lsp_server.backends", "lsp_server.user_settings")) for name in of_the_server)
    else:
        assert not used & {"starlette", "prometheus_client"}
    if package in ("shared_server", "lsp_server", "unmask_cli"):
        assert not used & {"torch", "numpy", "tokenizers", "safetensors", "transformers"}
    if package != "coder_kernels":
        assert not used & {"triton", "llvmlite"}
    # published models run on our transformer: theirs is only what the tests compare it with
    assert "transformers" not in used


def room_of(file):
    return file.relative_to(PACKAGES["coder_model"]).parts[0].removesuffix(".py")


@pytest.mark.parametrize(
    "file", sorted(PACKAGES["coder_model"].glob("*/**/*.py")), ids=lambda file: f"{file.parent.name}/{file.name}"
)
def test_rooms_use_those_before_them(file):
    used = {name.split(".")[1] for name in imports(file) if name.startswith("coder_model.")}
    assert used <= set(ROOMS[: ROOMS.index(room_of(file)) + 1])


def test_rooms_are_few_and_modules_short():
    folders = [place for place in PACKAGES["coder_model"].iterdir() if place.is_dir() and list(place.glob("*.py"))]
    assert len(folders) <= 10
    assert {room_of(file) for file in PACKAGES["coder_model"].glob("*/**/*.py")} <= set(ROOMS)
    long = {file.relative_to(ROOT).as_posix() for _, file in SOURCES if len(file.read_text("utf-8").splitlines()) > 300}
    assert not long


def test_no_two_classes_share_a_name():
    named = [
        node.name
        for _, file in SOURCES
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    assert len(named) == len(set(named))


def room_of_tests(file):
    """The folder that a file of tests is about."""
    place = file.parent.relative_to(TESTS)
    return PACKAGES["coder_kernels"] / place.relative_to("kernels") if place.parts[0] == "kernels" else ROOT / place


@pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: file.relative_to(TESTS).as_posix())
def test_tests_mirror_the_tree(file):
    """A file is named after a module of its room, or after a subject: no module has that name, and a line explains."""
    room, name = room_of_tests(file), file.stem.removeprefix("test_")
    assert room.is_dir(), f"{room} is gone, its tests are not"
    if not (room / f"{name}.py").exists() and not (room / name).is_dir():
        elsewhere = [
            other for folder in (*PACKAGES.values(), ROOT / "benchmarks") for other in folder.rglob(f"{name}.py")
        ]
        assert not elsewhere, f"the tests of {elsewhere[0]} must lie where it lies"
        assert ast.get_docstring(ast.parse(file.read_text("utf-8"))), f"{name} is no module of {room}: what is it?"


@pytest.mark.parametrize("file", sorted(TESTS.rglob("*.py")), ids=lambda file: file.relative_to(TESTS).as_posix())
def test_files_of_tests_are_short(file):
    assert len(file.read_text("utf-8").splitlines()) <= 300


def test_the_walk_of_a_request_names_files_that_exist():
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    walk = text.partition("## The walk of a request")[2].partition("\n## ")[0]
    stops = re.findall(r"(?m)^\d+\. `([^`]+)`", walk)
    assert 5 <= len(stops) <= 10
    here = {file.name for _, file in SOURCES}
    for name in [*stops, *re.findall(r"`([\w/]+\.py)`", walk)]:
        assert (ROOT / name).is_file() if "/" in name else name in here, name


@pytest.mark.parametrize("name", sorted(TORCH_FREE))
def test_what_the_front_shares_is_free_of_torch(name):
    assert not roots(PACKAGES["coder_model"] / name, top_level_only=True) & {
        "torch",
        "numpy",
        "tokenizers",
        "safetensors",
    }


def test_inference_imports_neither_training_nor_evaluation():
    for file in PACKAGES["coder_model"].rglob("*.py"):
        if not {"training", "evaluation"} & set(file.parts):
            assert not any(
                name.startswith(("coder_model.training", "coder_model.evaluation")) for name in imports(file)
            ), file


def test_no_module_imports_itself_in_a_circle():
    graph = {}
    for package, file in SOURCES:
        folder = PACKAGES[package]
        name = ".".join((package, *file.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__")
        graph[name] = set(imports(file, top_level_only=True))
    graph = {name: {u for u in used if u in graph} for name, used in graph.items()}
    while graph:
        free = {name for name, used in graph.items() if not used & graph.keys()}
        assert free, f"a circle among {sorted(graph)}"
        graph = {name: used for name, used in graph.items() if name not in free}


def test_folders_that_must_not_be_packages_are_none():
    assert not (ROOT / "kernels" / "__init__.py").exists()
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_every_module_can_be_imported_and_runs_nothing():
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            importlib.import_module(module.name)


def test_nothing_unpickles_or_trusts_remote_code():
    for _, file in SOURCES:
        text = file.read_text("utf-8")
        assert not roots(file) & {"pickle", "dill", "joblib", "requests", "urllib", "httpx"}, file
        assert "trust_remote_code" not in text, file
        assert "torch.load" not in text, file


def test_only_a_pull_leads_to_the_hub_and_to_pip():
    single_file, commands = "coder_model/checkpoints/single_file.py", "unmask_cli/models.py"
    assert users_of("checkpoints.hub") == {single_file, commands}
    # the commands take the names of the packages from there, for what they ask before a pull
    assert users_of("checkpoints.package_index") == {single_file, commands}
    assert users_of("checkpoints.single_file") == {commands}


def test_nothing_knows_an_internet_address():
    for library, place in NETWORK.items():
        users = [file for _, file in SOURCES if library in roots(file)]
        assert [file.relative_to(ROOT).as_posix() for file in users] == place.split()
        assert not any(library in roots(file, top_level_only=True) for file in users)
    with_programs = {file.relative_to(ROOT).as_posix() for _, file in SOURCES if "subprocess" in roots(file)}
    assert with_programs == PROGRAMS
    with_pip = [file for _, file in SOURCES if "run_module" in file.read_text("utf-8")]
    assert [file.name for file in with_pip] == ["package_index.py"]
    with_sockets = {file.relative_to(ROOT).as_posix() for _, file in SOURCES if "socket" in roots(file)}
    assert with_sockets == SOCKETS
    for _, file in SOURCES:
        text = file.read_text("utf-8")
        if file == ROOT / "shared_server/listener.py":
            continue
        assert not any(name in text for name in ("AF_INET", "create_connection", "open_connection", "create_server"))
