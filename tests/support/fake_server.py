"""The real server with the fake worker."""

import sys
from pathlib import Path

from lsp_server.backends.local import WorkerBackend
from lsp_server.server import run

FAKE = str(Path(__file__).parent / "fake_worker.py")

if __name__ == "__main__":
    run(lambda _: WorkerBackend([sys.executable, FAKE, *sys.argv[1:]]))
