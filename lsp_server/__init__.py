"""The language server: the only package that knows the protocol and editors. It never imports torch."""

import logging
from importlib.metadata import PackageNotFoundError, version

# the command line says an error once, itself; the server sets up its log when it runs
logging.getLogger(__name__).addHandler(logging.NullHandler())


def release() -> str:
    """Returns the version of unmask; 0 where it runs without being installed."""
    try:
        return version("unmask")
    except PackageNotFoundError:
        return "0"
