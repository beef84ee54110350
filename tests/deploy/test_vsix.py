"""The extension for VS Code: its lock file is whole, and anybody who packs it has the same bytes."""

import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

EXTENSION = Path(__file__).parents[2] / "editor_clients/vscode"
LARGE = {"typescript", "playwright-core", "@types"}
"""Of the modules: what no build needs."""


def npm(folder, *arguments, **environment):
    """Runs npm without the network."""
    return subprocess.run(
        ["npm", *arguments],
        cwd=folder,
        env={**os.environ, "npm_config_offline": "true", "npm_config_update_notifier": "false", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def tools():
    """What packs, there without the network."""
    if not (EXTENSION / "node_modules" / "esbuild").is_dir():
        pytest.skip("needs npm ci in editor_clients/vscode")
    found = npm(EXTENSION, "exec", "--yes", "--", "@vscode/vsce@4.1.0", "--version")
    if found.returncode:
        pytest.skip("needs @vscode/vsce in npm's cache: npm run package in editor_clients/vscode, once")


def _left(folder, names):
    if Path(folder).name == "node_modules":
        return LARGE & set(names)
    return {name for name in names if name == "dist" or name.endswith(".vsix")} if Path(folder) == EXTENSION else ()


def packed(folder, mode, moment, zone):
    """A copy of the sources with other modes and times, packed in another time zone."""
    shutil.copytree(EXTENSION, folder, ignore=_left)
    for path in folder.rglob("*"):
        if path.is_file() and "node_modules" not in path.parts:
            path.chmod(mode)
            os.utime(path, (moment, moment))
    done = npm(folder, "run", "package", TZ=zone)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.vsix")
    return made


def test_two_builds_in_two_places_are_the_same_bytes(tools, tmp_path):
    here = packed(tmp_path / "here", 0o644, 1_700_000_000, "UTC")
    there = packed(tmp_path / "a folder elsewhere", 0o600, 1_000_000_000, "America/New_York")
    assert hashlib.sha256(here.read_bytes()).digest() == hashlib.sha256(there.read_bytes()).digest()
    names = zipfile.ZipFile(here).namelist()
    assert {"extension/dist/extension.js", "extension/package.json", "extension/readme.md"} <= set(names)
    assert not any(part in name for name in names for part in ("src/", "node_modules", ".ts", ".mjs", ".npmrc"))


def test_the_lock_file_has_what_the_manifest_wants_with_the_hash_of_each():
    manifest = json.loads((EXTENSION / "package.json").read_text("utf-8"))
    packages = json.loads((EXTENSION / "package-lock.json").read_text("utf-8"))["packages"]
    root = packages.pop("")
    for kind in ("dependencies", "devDependencies"):
        assert root[kind] == manifest[kind]
        assert all(f"node_modules/{name}" in packages for name in manifest[kind])
    for name, one in packages.items():
        assert one["integrity"].startswith("sha512-"), name
        assert one["version"]
        # whoever installs has it from the registry that is his own
        assert "resolved" not in one or one["resolved"].startswith("https://registry.npmjs.org/"), name


def test_a_clean_install_follows_the_lock_file(tools, tmp_path):
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copyfile(EXTENSION / name, tmp_path / name)
    done = npm(tmp_path, "ci", "--ignore-scripts", "--no-audit")
    if done.returncode and "ENOTCACHED" in done.stderr:
        pytest.skip("needs the packages in npm's cache: npm ci in editor_clients/vscode")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "node_modules/vscode-languageclient/package.json").is_file()
