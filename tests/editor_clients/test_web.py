"""The page of `unmask play` in a real Chromium, with a fake model."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from play_page import served

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "editor_clients" / "web"
SERVED = ROOT / "unmask_cli" / "play" / "page"
DRIVER = Path(__file__).parent / "web" / "driver.mjs"


def modules():
    """A folder from which playwright-core can be loaded."""
    for folder in (SOURCES, ROOT / "editor_clients" / "vscode"):
        if (folder / "node_modules" / "playwright-core").is_dir() and shutil.which("chromium"):
            return folder
    return pytest.skip("needs chromium on the PATH, and npm ci in editor_clients/web")


async def drive(scenario, address, picture=""):
    """What the driver saw; a browser on a busy machine may lose a key or a click, so a failure is tried once more."""
    folder = modules()
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            "node", str(DRIVER), scenario, address, str(folder), shutil.which("chromium"), str(picture),
            stdout=subprocess.PIPE,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 300)
        seen = json.loads(out.splitlines()[-1])
        if "error" not in seen:
            break
    assert "error" not in seen, seen
    # its own policy forbids nothing that the page does, and it asks nobody else for anything
    assert (seen["errors"], seen["others"]) == ([], [])
    return seen


async def test_who_types_sees_masks_then_text_takes_it_compares_and_finds_the_figures(tmp_path):
    async with served() as server:
        seen = await drive("typing", server.address, tmp_path / "page.png")
    assert server.token not in seen["address"]
    assert seen["masked"] == 1
    assert "x = <x = |line|>" in seen["stage"]
    assert seen["ghost"] == "<x = |line|>"
    assert seen["taken"].startswith("x = <x = |line|>")
    assert "against it" in seen["compared"].lower()
    assert seen["broken"].strip() == "weights.bin must be weights"
    assert "Models on this machine" in seen["figures"]


async def test_an_answer_that_comes_after_the_cursor_has_moved_is_not_shown():
    async with served() as server:
        seen = await drive("late", server.address)
    assert seen["ghosts"] == 0


async def test_who_comes_without_the_token_is_told_what_to_open(tmp_path):
    async with served() as server:
        seen = await drive("outsider", server.address)
    assert seen["status"].strip() == "not let in: open the whole address that unmask play has printed"


def test_what_is_served_is_what_the_sources_make(tmp_path):
    if not (SOURCES / "node_modules" / "esbuild").is_dir():
        pytest.skip("needs npm ci in editor_clients/web")
    subprocess.run(["node", "build.mjs", str(tmp_path)], cwd=SOURCES, check=True)
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {file.name for file in SERVED.iterdir()}
    for name in names:
        assert (tmp_path / name).read_bytes() == (SERVED / name).read_bytes(), f"{name}: npm run build makes it anew"


def test_what_a_pass_shows_is_what_the_server_said_and_is_drawn_as_often_as_it_changes():
    if not shutil.which("node"):
        pytest.skip("needs node on the PATH")
    subprocess.run(
        ["node", "--test", "src/frames.test.mjs", "src/player.test.mjs"], cwd=SOURCES, check=True, capture_output=True
    )


def test_the_page_names_no_other_place_and_holds_the_licences_of_what_is_in_it():
    for name in ("index.html", "style.css"):
        assert "//" not in (SERVED / name).read_text("utf-8").replace("<!doctype", "")
    licences = (SERVED / "LICENSES.txt").read_text("utf-8")
    wanted = json.loads((SOURCES / "package.json").read_text("utf-8"))["dependencies"]
    for name, version in wanted.items():
        assert f"{name} {version} (MIT)" in licences
    assert sum(file.stat().st_size for file in SERVED.iterdir()) < 800_000


def test_the_lock_names_no_registry_and_every_package_has_its_hash():
    lock = (SOURCES / "package-lock.json").read_text("utf-8")
    assert "resolved" not in lock
    packages = json.loads(lock)["packages"]
    wanted = json.loads((SOURCES / "package.json").read_text("utf-8"))
    assert packages[""]["dependencies"] == wanted["dependencies"]
    assert packages[""]["devDependencies"] == wanted["devDependencies"]
    assert all(one["integrity"].startswith("sha512-") for name, one in packages.items() if name)
