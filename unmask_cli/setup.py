"""`unmask setup`: what an editor must be told to start the server, printed, written, or taken away again."""

from __future__ import annotations

import sys
import textwrap
from typing import Annotated, Literal

import typer

from coder_model.types import InvalidInput
from unmask_cli.terminal import NOT_NOW, fail


def setup(
    editor: Annotated[Literal["nvim", "vscode"], typer.Argument(help="which editor; VSCodium is vscode as well")],
    write: Annotated[bool, typer.Option("--write", help="write it; a file that is changed is kept beside it")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="take away exactly what was written")] = False,
) -> None:
    """Print what an editor must be told to start the server, or write it into its settings."""
    if write and remove:
        fail("setup", InvalidInput("--write or --remove may be given, not both"))
    if remove:
        _remove(editor)
    else:
        _set_up(editor, write)


def _set_up(editor: Literal["nvim", "vscode"], write: bool) -> None:
    from unmask_cli.neovim_setup import neovim_additions
    from unmask_cli.own_text import OwnText
    from unmask_cli.vscode_setup import vscode_additions

    try:
        told = neovim_additions() if editor == "nvim" else vscode_additions()
    except InvalidInput as error:
        print(f"unmask setup: {error}", file=sys.stderr)
        sys.exit(NOT_NOW)
    if told.missing:
        print(f"unmask setup: {told.missing}", file=sys.stderr)
    print(told.remark)
    by_hand = bool(told.missing)
    for addition in told.additions:
        try:
            if write and not told.missing:
                print(OwnText(editor).write(addition))
                continue
        except InvalidInput as error:
            by_hand = True
            print(f"unmask setup: {error}", file=sys.stderr)
        except OSError as error:
            by_hand = True
            print(f"unmask setup: {error.filename or addition.file}: {error.strerror}", file=sys.stderr)
        print(f"to be added to {addition.file}:\n\n{textwrap.indent(addition.shown, '    ')}")
    if by_hand:
        sys.exit(NOT_NOW)
    if not write:
        print(f"`unmask setup {editor} --write` writes it")


def _remove(editor: str) -> None:
    from unmask_cli.own_text import OwnText

    try:
        done = list(OwnText(editor).remove())
    except InvalidInput as error:
        fail("setup", error)
    print("\n".join(done) if done else f"nothing that `unmask setup {editor} --write` has written is known here")
