"""`unmask` with the fake model: `lsp`, and `models list`, `pull` and `remove`, which fetch nothing.

The models are those of the catalogue; one is installed when a file of its name is in `$UNMASK_TEST_MODELS`.
"""

import json
import os
import sys
import time
import zipfile
from pathlib import Path

import msgspec

SUPPORT = Path(__file__).parent


def models(words):
    from coder_model.checkpoints.catalogue import catalogue

    folder = Path(os.environ["UNMASK_TEST_MODELS"])
    folder.mkdir(exist_ok=True)
    match words:
        case ["list", "--json"]:
            for entry in catalogue().values():
                facts = {name: value for name, value in msgspec.to_builtins(entry).items() if name != "file"}
                here = str(folder / entry.name) if (folder / entry.name).exists() else None
                print(json.dumps(facts | {"bytes_to_fetch": entry.file and entry.file.bytes, "installed": here}))
        case ["pull", name, "--yes"]:
            for done in range(5):
                print(f"from the hub: {done / 10:.2f} of 0.49 GB, 12.0 MB/s, {5 - done} s left", flush=True)
                time.sleep(0.1)
            (folder / name).touch()
            print(f"use it with: unmask lsp --model {name}")
        case ["remove", name, "--yes"]:
            (folder / name).unlink()
            print(f"{name} is removed, 0.49 GB are free again")


def main():
    match sys.argv[1:]:
        case ["models", *words]:
            models(words)
        case ["lsp", *options]:
            from lsp_server.backends.local import WorkerBackend
            from lsp_server.server import run

            name = options[options.index("--model") + 1] if "--model" in options else "fake"
            run(lambda _: WorkerBackend([sys.executable, str(SUPPORT / "fake_worker.py"), "--name", name]))


def tiny_wheel(folder):
    """A wheel named as ours, without dependencies, whose program `unmask` is this one."""
    program = [sys.executable, __file__]
    start = f"import os, sys\ndef main():\n    os.execv({program[0]!r}, [*{program!r}, *sys.argv[1:]])\n"
    facts = "dist-info/"
    files = {
        "unmask_tiny.py": start,
        f"unmask-0.1.0.{facts}METADATA": "Metadata-Version: 2.1\nName: unmask\nVersion: 0.1.0\nProvides-Extra: model\n",
        f"unmask-0.1.0.{facts}WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"unmask-0.1.0.{facts}entry_points.txt": "[console_scripts]\nunmask = unmask_tiny:main\n",
    }
    record = f"unmask-0.1.0.{facts}RECORD"
    files[record] = "".join(f"{name},,\n" for name in (*files, record))
    wheel = folder / "unmask-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return wheel


if __name__ == "__main__":
    main()
