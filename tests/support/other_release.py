"""The real server with the fake worker, as it would be in another release that lacks some commands.

other_release.py RELEASE [COMMAND...]
"""

import sys

from fake_server import FAKE

from lsp_server import server
from lsp_server.backends.local import WorkerBackend

make_server = server.make_server


def make(*arguments):
    made = make_server(*arguments)
    for command in lacked:
        del made.protocol.fm.commands[command]
    return made


if __name__ == "__main__":
    release, *lacked = sys.argv[1:]
    server.release, server.make_server = lambda: release, make
    server.run(lambda _: WorkerBackend([sys.executable, FAKE]))
