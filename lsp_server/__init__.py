"""The language server: the only package that knows the protocol and editors. It never imports torch."""

import logging

# the command line says an error once, itself; the server sets up its log when it runs
logging.getLogger(__name__).addHandler(logging.NullHandler())
