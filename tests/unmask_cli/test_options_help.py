"""What the help says of options, beside what is checked."""

import pytest
import typer

from coder_model.checkpoints.precisions import WEIGHT_PRECISIONS
from unmask_cli.cli import app

COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize(
    "command", [name for name, one in COMMANDS.items() if any(each.name == "quantize" for each in one.params)]
)
def test_the_help_of_a_precision_names_all_that_there_are(command):
    (option,) = (each for each in COMMANDS[command].params if each.name == "quantize")
    assert option.help == f"{', '.join(WEIGHT_PRECISIONS)}, or auto: the best that fits"
