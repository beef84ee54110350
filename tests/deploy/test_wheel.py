"""The wheel: what is in it, and that anybody who builds it has the same bytes."""

import hashlib
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
wheel = pytest.importorskip("hatchling.builders.wheel", reason="hatchling, which makes the wheel, is not installed")


def built(root, folder):
    (path,) = wheel.WheelBuilder(str(root)).build(directory=str(folder), versions=["standard"])
    return Path(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return built(ROOT, tmp_path_factory.mktemp("wheel"))


def copied(folder):
    """What git has and what is new, somewhere else, with other times and modes."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"], capture_output=True, check=True
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
            target.chmod(0o600)
            os.utime(target, (10**9, 10**9))
    for extension in (ROOT / "editor_clients").glob("vscode/*.vsix"):
        shutil.copyfile(extension, folder / extension.relative_to(ROOT))
    return folder


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout of git")
def test_two_builds_in_two_places_are_the_same_bytes(made, tmp_path):
    other = built(copied(tmp_path / "elsewhere"), tmp_path)
    assert hashlib.sha256(made.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest()


def test_it_has_all_packages_and_the_licence_and_nothing_of_tests(made):
    names = zipfile.ZipFile(made).namelist()
    folders = {name.partition("/")[0] for name in names}
    assert {"unmask_cli", "shared_server", "lsp_server", "coder_model", "coder_kernels"} <= folders
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "benchmarks/", "deploy/")) or "__pycache__" in name for name in names)
