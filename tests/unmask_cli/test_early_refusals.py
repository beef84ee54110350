"""What cannot be done is refused before anything heavy is imported: at once, in one line that names what was given."""

import subprocess
import sys

import pytest

from coder_model.checkpoints.precisions import WEIGHT_PRECISIONS

PRECISIONS = ", ".join(WEIGHT_PRECISIONS)
WITHOUT_TORCH = (
    "import sys; sys.modules['torch'] = None; sys.argv[0] = 'unmask'; from unmask_cli.cli import main; main()"
)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("train --corpus . --minutes 0", "minutes must be positive and end some time, got 0.0"),
        ("train --corpus . --init nosuch", "--init nosuch is not installed"),
        (
            "train drafter --target nosuch --corpus . --minutes nan",
            "minutes must be positive and end some time, got nan",
        ),
        ("train drafter --target ./nosuch --corpus .", "--target ./nosuch must be a directory, a .gguf file"),
        (
            'train run --corpus . --output o --options {"stepz":1}',
            "train run: --options has no stepz; there are steps, ",
        ),
        ('train run --corpus . --output o --options {"minutes":0}', "train run: --options must be those of a training"),
        ("train run --corpus nowhere --output o", "train run: corpus directory must exist, got nowhere"),
        ("train adapter --target embedded --corpus . --teacher nosuch", "--teacher nosuch is not installed"),
        ("train adapter --target nosuch --corpus . --rank 100000", "'--rank': Input should be less than or equal to"),
        (
            "train compare --corpus . --output o --size huge",
            "train compare: --size must be one of tiny, small, medium",
        ),
        ("train compare --corpus . --output o --only foo", "train compare: --only must be of ar, mdlm"),
        ("train compare --corpus . --output o --tokens 0", "train compare: --tokens must be at least 1, got 0"),
        ("play --model nosuch --no-browser", "--model nosuch is not installed, nor in `unmask models list`"),
        ("http --verifier ./nosuch", "--verifier ./nosuch must be a directory, a .gguf file, or a name of `unmask"),
        ("fill a.py --at 1:1 --model nosuch", "nosuch is not installed"),
        ("rewrite a.py 1:1 --model nosuch", "nosuch is not installed"),
        ("eval --model ./nosuch.gguf", "--model ./nosuch.gguf must be a directory, a .gguf file"),
        ("fill a.py --at 1:1 --quantize foo", f"--quantize must be one of auto, {PRECISIONS}, got 'foo'"),
        ("eval --quantize foo", f"--quantize must be one of auto, {PRECISIONS}, got 'foo'"),
    ],
)
def test_it_is_said_before_torch_is_imported(arguments, named, tmp_path):
    command = [sys.executable, "-c", WITHOUT_TORCH, *arguments.split()]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"unmask {arguments.split()[0]}")
    assert named in line
