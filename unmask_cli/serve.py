"""`unmask serve`: a model, or several, for a whole team; and the tokens that let its people in."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import msgspec
import typer

from coder_model.errors import lacks_packages
from coder_model.types import InvalidInput
from unmask_cli.terminal import fail

app = typer.Typer(help="A model, or several, for a whole team.", invoke_without_command=True)


class Where(StrEnum):
    """What runs the engines."""

    LOCAL = "local"
    RAY = "ray"


@app.callback()
def serve(
    context: typer.Context,
    config: Annotated[
        Optional[Path],  # noqa: UP045  typer reads it
        typer.Option(help="settings of the server (docs/shared-server.md); for this machine alone when absent"),
    ] = None,
    engine: Annotated[Where, typer.Option(help="workers of this process, or a Ray cluster")] = Where.LOCAL,
    host: Annotated[str, typer.Option(help="instead of the settings'")] = "",
    port: Annotated[Optional[int], typer.Option(min=0, max=65535, help="instead of the settings'")] = None,  # noqa: UP045
    model: Annotated[str, typer.Option(help="one engine of this model instead of the settings' engines")] = "",
    replicas: Annotated[int, typer.Option(min=1, help="with --model: workers that hold it")] = 1,
) -> None:
    """Answer /v1/fim/completions, /v1/edit/completions and /infill for many people."""
    if context.invoked_subcommand:
        return
    try:
        from shared_server.settings import EngineSettings, read_settings

        settings = read_settings(config)
        settings = msgspec.structs.replace(
            settings,
            host=host or settings.host,
            port=settings.port if port is None else port,
            engines=(EngineSettings(model=model, replicas=replicas),) if model else settings.engines,
        )
        if engine is Where.RAY:
            from shared_server.ray_cluster import serve_on_ray

            serve_on_ray(settings, _say)
        else:
            from shared_server.local import serve_here

            asyncio.run(serve_here(settings, _say))
    except ImportError as error:
        extra = "serve,ray" if engine is Where.RAY else "serve"
        fail("serve", InvalidInput(f"{error.name} and more is {lacks_packages(extra)}"))
    except InvalidInput as error:
        fail("serve", error)


@app.command()
def token(
    tenant: Annotated[str, typer.Argument(help="a team: nothing is shared with another one")],
    user: Annotated[str, typer.Argument(help="a person of it")],
    file: Annotated[Path, typer.Option(help="the server's `tokens`; made when it is not there")] = Path("tokens"),
) -> None:
    """Make a token, add its hash to a file, and print it, once."""
    from shared_server.tokens import add_token

    try:
        print(add_token(file, tenant, user))
    except InvalidInput as error:
        fail("serve token", error)


def _say(address: str) -> None:
    print(f"unmask serve: {address}", flush=True)
