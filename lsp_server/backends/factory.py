"""Which backend a user's settings ask for; the settings of an editor, or a command, only say how it fills."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import msgspec

from coder_model.checkpoints.catalogue import catalogue
from coder_model.checkpoints.store import EMBEDDED, Store
from coder_model.engine.options import EngineOptions
from coder_model.types import InvalidInput
from lsp_server.backends.base import Backend
from lsp_server.backends.ladder import ModelLadder, Rung, first_rung
from lsp_server.backends.local import WorkerBackend, worker_command
from lsp_server.backends.model_times import ModelTimes
from lsp_server.user_settings import AUTO, UserSettings

OFFERED = "qwen2.5-coder-0.5b"
"""What a person is told of who has no model but the embedded one."""
PATIENCE = 3
"""The embedded model is right at one ordinary place of ten, the smallest other one at most: that is worth a second."""
BYTES_PER_PARAMETER = 2
"""Estimates the size of a model that the catalogue does not know by its files."""


def chosen_backend(user: UserSettings, options: EngineOptions, target_ms: float) -> Backend:
    """Returns one backend for a single answer: the remote server that the user names, else a worker on this machine.

    Args:
        user: what only the user decides.
        options: of a model on this machine; of a remote one `filters_off` alone counts.
        target_ms: most milliseconds of a suggestion, where the user leaves the choice of the model to us.

    Raises:
        InvalidInput: when the remote server's settings lack something.
    """
    if user.remote:
        return _remote(user, options)
    times = ModelTimes()
    rungs = [rung for rung in model_rungs(user, options, target_ms) if (times.of(rung.key) or 0.0) <= rung.limit_ms]
    if not rungs:
        return _worker(user, options, EMBEDDED)
    rung = rungs[first_rung(rungs, times)]
    worker = rung.make()
    worker.known_ms = times.of(rung.key)
    return worker


def backend_in_any_case(user: UserSettings, options: EngineOptions, target_ms: float, complaint: str = "") -> Backend:
    """Returns a backend that answers whatever is missing or wrong: the last resort is the embedded model.

    Args:
        user: what only the user decides.
        options: see `chosen_backend`.
        target_ms: see `chosen_backend`.
        complaint: what is wrong with the user's settings already; empty when nothing is.
    """
    if user.remote:
        try:
            backend: Backend = _remote(user, options)
        except InvalidInput as error:
            return backend_in_any_case(
                msgspec.structs.replace(user, remote=None), options, target_ms, complaint or str(error)
            )
    elif user.model == EMBEDDED and not user.verifier:
        backend = _worker(user, options, EMBEDDED)
    else:
        rungs = model_rungs(user, options, target_ms)
        backend = ModelLadder(partial(embedded, options), rungs, ModelTimes(), "" if rungs else offer())
    backend.remark = complaint
    return backend


def embedded(options: EngineOptions) -> WorkerBackend:
    """Returns the model that comes with the package, which needs nothing."""
    return WorkerBackend(worker_command(options, EMBEDDED))


def offer() -> str:
    """Returns the line that tells of a better model than the embedded one."""
    size = catalogue()[OFFERED].to_fetch
    return f"`unmask models pull {OFFERED}` gets one that knows far more ({size})"


def no_judge() -> str:
    """Returns why a model that does not judge code is of no use for what needs that, and which one is."""
    is_there = any(manifest.name == OFFERED for manifest in Store().installed())
    hint = f'`model = "{OFFERED}"` in the user\'s settings takes one that is installed' if is_there else offer()
    return f"the model that answers cannot judge code; {hint}"


def model_rungs(user: UserSettings, options: EngineOptions, target_ms: float) -> list[Rung]:
    """Returns the models that may take the place of the embedded one, from the smallest to the largest.

    The one that the user has named, or has a verifier for; else those that are installed and infill. The first of these
    may take `PATIENCE` times as long as is wanted: below it there is the embedded one alone.
    """
    if user.model not in ("", AUTO) or user.verifier:
        model = EMBEDDED if user.model in ("", AUTO) else user.model
        key = f"{model} {user.verifier} {user.quantize}"
        return [Rung(model, key, 1.0, partial(_worker, user, options, model), float("inf"))]
    rungs = []
    for manifest in Store().installed():
        entry = catalogue().get(manifest.name)
        if entry and not entry.infills:
            continue
        parameters = entry.parameters if entry else manifest.n_bytes / BYTES_PER_PARAMETER / 1e9
        make = partial(_worker, user, options, manifest.name)
        sha256 = next((file.sha256 for file in manifest.files.values()), "")
        rungs.append(Rung(manifest.name, time_key(manifest.name, sha256, user.quantize), parameters, make, target_ms))
    rungs.sort(key=lambda rung: rung.parameters)
    if rungs:
        rungs[0] = replace(rungs[0], limit_ms=PATIENCE * target_ms)
    return rungs


def time_key(name: str, sha256: str, quantize: str) -> str:
    """Returns what a model's time is kept by: its name, the sha256 of its first file, and the precision asked for."""
    return f"{name} {sha256[:12]} {quantize}"


def _remote(user: UserSettings, options: EngineOptions) -> Backend:
    from lsp_server.backends.remote import RemoteBackend

    assert user.remote
    return RemoteBackend(user.remote, options.filters_off)


def _worker(user: UserSettings, options: EngineOptions, model: str) -> WorkerBackend:
    if user.exact:
        options = msgspec.structs.replace(options, refresh_every=1)
    return WorkerBackend(worker_command(options, model, user.verifier, user.quantize))
