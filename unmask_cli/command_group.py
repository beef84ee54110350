"""The group of commands, which says in one line what was wrong with the arguments."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from unmask_cli.terminal import BAD_INPUT, INTERRUPTED, NOT_NOW, shortened

_UsageError: Any = typer.BadParameter.__base__
"""Click's, which typer has under several names."""


class Commands(TyperGroup):
    """Ends a program with one line where its arguments are wrong, or where Ctrl-C was pressed."""

    def main(self, *args: Any, **more: Any) -> Any:
        """Runs a command and ends the program, see `click.Group.main`."""
        try:
            sys.exit(super().main(*args, **more | {"standalone_mode": False}) or 0)
        except typer.Abort as error:
            # a question takes Ctrl-C for the end of all answers
            if isinstance(error.__context__, KeyboardInterrupt):
                print("\nunmask: interrupted", file=sys.stderr)
                sys.exit(INTERRUPTED)
            print("\nunmask: stopped at a question without an answer", file=sys.stderr)
            sys.exit(NOT_NOW)
        except _UsageError as error:
            message = error.format_message()
            if type(error).__name__ == "NoArgsIsHelpError":
                print(message)
                sys.exit(BAD_INPUT)
            context = getattr(error, "ctx", None)
            said = _as_one_line(message) + _given(error, message)
            if said.endswith(".") and (wanted := _wanted(error)):
                said = f"{said[:-1]}: {wanted}"
            print(f"{context.command_path if context else 'unmask'}: {said}", file=sys.stderr)
            sys.exit(BAD_INPUT)

    def invoke(self, ctx: Any) -> Any:
        """Runs a command in a context."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("unmask: interrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None


def _given(error: Exception, message: str) -> str:
    """What somebody has given for an argument that is out of its range, where the message does not say it."""
    found: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    given = repr(shortened(str(found[0]["input"]))) if found else ""
    return "" if given in message else f", got {given}"


def _wanted(error: Exception) -> str:
    """What an argument that is missing is, in the words of the help."""
    is_missing = type(error).__name__ == "MissingParameter"
    return (is_missing and getattr(getattr(error, "param", None), "help", None)) or ""


def _as_one_line(message: str) -> str:
    """What is said of an argument, without the name of Python's error, and with choices behind each other."""
    return " ".join(message.replace("Value error, ", "").split())
