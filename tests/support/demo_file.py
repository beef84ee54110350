"""The demo's file, its places, and what was suggested there."""

from io import StringIO

from demo_places import FILE, places
from editor import Ghost
from rich.console import Console

LINES = FILE.read_text("utf-8").split("\n")
PLACES = places(LINES)


def plain(width=120):
    return Console(file=StringIO(), width=width, highlight=False)


def ghost(text, milliseconds=12.0):
    return Ghost(text, milliseconds, 3, 4)
