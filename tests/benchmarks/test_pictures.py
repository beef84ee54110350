"""The pictures of the documentation: what Neovim draws is what is in them, and each is made in the real editor."""

import re
from pathlib import Path

import pytest
from drawn import EXTENSION, VSCODE, editors
from neovim import SERVER, find_neovim
from neovim_screen import Grid, picture, save
from pictures import FILE, SUGGESTED, WATCHED, Scene, Server, in_vscode, scene, suggested_in_neovim, watched_in_neovim
from PIL import Image

FAKE = Server(SERVER, "fake")
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))


def grid(*lines):
    return Grid([[(character, 0) for character in line] for line in lines])


def test_a_grid_is_what_the_events_say():
    shown = grid("    ", "    ", "    ")
    assert not shown.take([["hl_attr_define", [7, {"foreground": 0xFF0000}, {}, []]], ["grid_cursor_goto", [1, 1, 1]]])
    assert shown.take([["grid_line", [1, 1, 0, [["a", 7], ["b"], ["░", 0, 2]], False]], ["flush", []]])
    assert shown.lines() == ["    ", "ab░░", "    "]
    assert shown.rows[1][:3] == [("a", 7), ("b", 7), ("░", 0)]
    assert shown.behind_cursor() == "b░░"


@pytest.mark.parametrize(("count", "rows"), [(1, "bccd"), (-1, "aabd"), (2, "cbcd")])
def test_lines_scroll_within_their_region(count, rows):
    shown = grid("a", "b", "c", "d")
    shown.take([["grid_scroll", [1, 0, 3, 0, 1, count, 0]]])
    assert "".join(shown.lines()) == rows


def test_a_cell_has_the_colours_that_neovim_gave_it(tmp_path):
    shown = Grid(
        [[("█", 1), ("█", 2), (" ", 3)]],
        {1: {"foreground": 0xFF0000}, 2: {"foreground": 0x00FF00, "background": 0xFF, "reverse": True}, 3: {}},
        background=0x101010,
        cursor=(0, 2),
    )
    picture(shown, tmp_path / "a.png")
    image = Image.open(tmp_path / "a.png").convert("RGB")
    middle, width = image.height // 2, image.width // 3
    assert [image.getpixel((x, middle)) for x in (width // 2, width + width // 2, 3 * width - 2)] == [
        (255, 0, 0),
        (0, 0, 255),
        (16, 16, 16),
    ]


def test_pictures_are_saved_with_few_colours(tmp_path):
    image = Image.linear_gradient("L").convert("RGB")
    save(image, tmp_path / "a.png")
    assert len(Image.open(tmp_path / "a.png").getcolors()) <= 128


@pytest.mark.parametrize("kind", [SUGGESTED, WATCHED])
def test_a_scene_is_the_file_without_what_stands_behind_its_cursor(kind):
    shown, text = scene(kind), FILE.read_text("utf-8")
    lines = shown.text.splitlines()
    assert text.startswith("\n".join(lines[: shown.line]))
    assert text.endswith("\n".join(lines[shown.line :]) + "\n")
    assert len(shown.text) < len(text)


def test_neovim_is_photographed_with_ghost_text_alternatives_and_masks(tmp_path):
    pytest.importorskip("pynvim")
    neovim = find_neovim()
    if not neovim:
        pytest.skip("needs Neovim 0.12 or newer in tools, in $UNMASK_NVIM or on the PATH")
    made = suggested_in_neovim(neovim, FAKE, Scene("x = \n", 1), tmp_path)
    made += watched_in_neovim(neovim, FAKE, Scene("slow = \n", 1), tmp_path)
    assert [file.name for file in made] == ["ghost.png", "alternatives.png", "panel.png", "watch.png"]
    pictures = [Image.open(file).convert("RGB").tobytes() for file in made]
    assert len(set(pictures)) == 4


@pytest.mark.slow
def test_vscode_is_photographed_with_ghost_text_alternatives_menu_and_masks(tmp_path):
    if "VS Code" not in editors():
        pytest.skip(f"needs VS Code's web server in {VSCODE}, {EXTENSION} built, and chromium on the PATH")
    suggested, watched = tmp_path / "suggested", tmp_path / "watched"
    suggested.mkdir()
    watched.mkdir()
    made, seen = in_vscode("suggested", FAKE, Scene("x = \n", 1), suggested)
    assert (seen["ghost"].replace("\xa0", " "), seen["alternatives"]) == ("<x = |line|~>", "2/3")
    assert seen["panel"].count("|line|~>") == 6
    more, seen = in_vscode("watched", FAKE.slowly(), Scene("slow = \n", 1), watched)
    assert re.match(r"<░ +\d+ passes", seen["pass"])
    assert [file.name for file in made + more] == [
        f"{name}.png" for name in ("alternatives", "ghost", "menu", "panel", "watch")
    ]


def test_every_picture_is_small_and_shown_on_a_page():
    folders = [ROOT / "docs" / "figures", EXTENSION / "media"]
    pages = [ROOT / "README.md", ROOT / "docs" / "usage.md", EXTENSION / "README.md"]
    shown = {
        (page.parent / name).resolve() for page in pages for name in re.findall(r"\]\(([^)]+\.png)\)", page.read_text())
    }
    made = {file for folder in folders for file in folder.glob("*.png")}
    assert made == shown
    assert {file.name: file.stat().st_size for file in made if file.stat().st_size > 120_000} == {}
