"""The user's own file: all that an editor may set too, which goes before it, and what only the user decides.

That is which model, and whether code may leave the machine. It is never read from a workspace.

The file is `settings.toml` in the user's configuration folder (`$XDG_CONFIG_HOME/unmask` on Linux).
"""

from __future__ import annotations

import contextlib
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from platformdirs import user_config_path

from coder_model.errors import reason_of
from coder_model.types import InvalidInput
from lsp_server.backends.remote_apis import Kind
from lsp_server.settings import Settings

AUTO = "auto"


class Remote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A service that code is sent to."""

    kind: Kind
    """`mercury`, `mercury-edit`, `openai` or `llama.cpp`."""
    url: str = ""
    """Address of the server, without the path of the protocol; the service's own when empty."""
    model: str = ""
    """As the service calls it; its usual one when empty."""
    key_variable: str = ""
    """Environment variable that holds the key; without it the system's keyring is asked, see `unmask key`."""
    certificates: str = ""
    """File of the authorities that the server's certificate may be signed by; the system's when empty."""
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5.0
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 128


class UserSettings(Settings, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The file's content: settings by the names that an editor has for them, and those of the user alone."""

    model: str = AUTO
    """`auto` for the best installed one that is fast enough here (`targetMs`), `embedded`, the name of an installed
    model, or a path with a separator in it."""
    verifier: str = ""
    """An autoregressive model that has the last word on what `model` drafts; none when empty."""
    exact: bool = False
    """Let a bidirectional model read prefix and suffix anew in every pass, instead of in every fourth."""
    quantize: str = "auto"
    """Precision of a published model's weights."""
    remote: Remote | None = None
    """Asked instead of a local model; none when absent."""


def settings_path() -> Path:
    """Returns where the file is, whether or not it is there."""
    return user_config_path("unmask", appauthor=False) / "settings.toml"


def read_user_settings(path: Path | None = None) -> UserSettings:
    """Reads the file; all defaults when there is none.

    Raises:
        InvalidInput: when it is no TOML, or says what is not known; names the file and the setting.
    """
    path = path or settings_path()
    try:
        values = tomllib.loads(path.read_text("utf-8"))
        return msgspec.convert(values, UserSettings)
    except FileNotFoundError:
        return UserSettings()
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} must be the user's settings: {reason_of(error)}") from error


def read_what_is_right(path: Path | None = None) -> tuple[UserSettings, str]:
    """Reads the file as far as it can be used, and says in one line what is wrong with it; empty when nothing is.

    What is wrong keeps its default: a slip of the pen leaves nobody without a model, and sends no code anywhere.
    """
    path = path or settings_path()
    try:
        return read_user_settings(path), ""
    except InvalidInput as error:
        complaint = str(error)
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return UserSettings(), complaint
    known = {field.encode_name: field for field in msgspec.structs.fields(UserSettings)}
    good: dict[str, Any] = {}
    for name, value in values.items():
        with contextlib.suppress(msgspec.ValidationError, KeyError):
            good[known[name].name] = msgspec.convert(value, known[name].type)
    return UserSettings(**good), complaint
