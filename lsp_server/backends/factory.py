"""Which backend a user's settings ask for; the settings of an editor, or a command, only say how it fills."""

from __future__ import annotations

import msgspec

from coder_model.engine.options import EngineOptions
from coder_model.types import InvalidInput
from lsp_server.backends.base import Backend
from lsp_server.backends.local import WorkerBackend, worker_command
from lsp_server.user_settings import UserSettings


def chosen_backend(user: UserSettings, options: EngineOptions) -> Backend:
    """Returns the remote server that the user names, else a worker on this machine.

    Args:
        user: what only the user decides.
        options: of a model on this machine; of a remote one `filters_off` alone counts.

    Raises:
        InvalidInput: when the remote server's settings lack something.
    """
    if user.remote:
        from lsp_server.backends.remote import RemoteBackend

        return RemoteBackend(user.remote, options.filters_off)
    if user.exact:
        options = msgspec.structs.replace(options, refresh_every=1)
    return WorkerBackend(worker_command(options, user.model, user.verifier, user.quantize))


def backend_in_any_case(user: UserSettings, options: EngineOptions, complaint: str = "") -> Backend:
    """Returns the chosen backend; where its settings lack something, a worker here, with a remark that says so.

    Args:
        user: what only the user decides.
        options: see `chosen_backend`.
        complaint: what is wrong with the user's settings already; empty when nothing is.
    """
    try:
        backend = chosen_backend(user, options)
    except InvalidInput as error:
        backend = chosen_backend(msgspec.structs.replace(user, remote=None), options)
        complaint = complaint or str(error)
    backend.remark = complaint
    return backend
