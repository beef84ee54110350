"""Where the files for editors are, in an installed package and in a checkout, and the program that an editor starts."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from coder_model.types import InvalidInput

_PACKED = Path(__file__).with_name("clients")
_CHECKOUT = Path(__file__).parents[1] / "editor_clients"


def client_folder(editor: str) -> Path:
    """Returns the folder with the files for an editor; where a wheel was made without any, it is not there."""
    packed = _PACKED / editor
    return packed if packed.is_dir() or not _CHECKOUT.is_dir() else _CHECKOUT / editor


def program() -> str:
    """Returns the whole path of `unmask`: the name on the PATH, where that is the one that runs now.

    Raises:
        InvalidInput: when there is no such program beside the interpreter, nor on the PATH.
    """
    named = shutil.which("unmask")
    here = shutil.which("unmask", path=str(Path(sys.executable).parent))
    if named and here and Path(named).resolve() == Path(here).resolve():
        return named
    found = here or named
    if not found:
        raise InvalidInput(f"the program unmask must be beside {sys.executable} or on the PATH, found neither")
    return found
