"""`unmask http`: starts the server, and says what an editor must be told."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_state_path

from coder_model.engine.options import EngineOptions
from coder_model.errors import reason_of
from coder_model.types import InvalidInput
from lsp_server.backends.base import Backend
from lsp_server.backends.factory import backend_in_any_case
from lsp_server.trigger_policy import PresetName
from lsp_server.user_settings import UserSettings
from unmask_cli.endpoint.server import HttpEndpoint, model_name

_LEAST_TOKEN = 43


async def serve_http(user: UserSettings, port: int, preset: PresetName) -> None:
    """Serves until the program is interrupted.

    Args:
        user: which model.
        port: 0 for any that is free.
        preset: how sure the model must be of what it answers.

    Raises:
        InvalidInput: when the port is taken, or the file of the token cannot be used.
    """
    file = token_file()
    backend = backend_in_any_case(user, EngineOptions(), user.target_ms)
    server = HttpEndpoint(backend, read_token(file), preset)

    def ready() -> None:
        print(
            f"{server.address}/v1/completions\n{server.address}/infill\n"
            f"for programs of this machine that send the key in {file}; Ctrl-C ends it",
            flush=True,
        )
        backend.on_change = _teller(backend)
        backend.on_change()

    await server.run(port, ready)


def _teller(backend: Backend) -> Callable[[], None]:
    """Returns what says which model is ready, once for each that takes over, or why there is none."""
    said = ""

    def tell() -> None:
        nonlocal said
        now = {"ready": f"{model_name(backend)} is ready", "down": f"there is no model: {backend.reason}"}
        line = now.get(backend.state, said)
        if line != said:
            said = line
            print(line, flush=True)

    return tell


def token_file() -> Path:
    """Returns where the token is, whether or not it is there."""
    return user_state_path("unmask") / "http-token"


def read_token(file: Path) -> str:
    """Returns the token of a file, which is made for its user alone when there is none.

    It stays the same from start to start, as editors keep it in their settings; who wants another one removes the file.

    Raises:
        InvalidInput: when the file cannot be read or written, or holds something else.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as new:
                new.write(secrets.token_urlsafe(32) + "\n")
        token = file.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{file} must be the file of the key: {reason_of(error)}") from error
    if len(token) < _LEAST_TOKEN or not token.isascii():
        raise InvalidInput(f"{file} must hold a key of {_LEAST_TOKEN} characters or more; remove it to get a new one")
    return token
