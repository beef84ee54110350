"""Commands of the terminal, run in this process."""

import pytest

from unmask_cli.cli import app


def exit_code(arguments):
    with pytest.raises(SystemExit) as ended:
        app(arguments, prog_name="unmask")
    return ended.value.code
