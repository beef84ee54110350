"""Which models the page offers: the embedded one, what is installed, and what the user has named."""

from __future__ import annotations

import math
from functools import partial

import msgspec

from coder_model.checkpoints.store import EMBEDDED
from coder_model.engine.options import EngineOptions
from lsp_server.backends.factory import embedded, model_rungs
from lsp_server.backends.ladder import Rung, first_rung
from lsp_server.backends.model_times import ModelTimes
from lsp_server.user_settings import AUTO, UserSettings
from unmask_cli.play.messages import OfferedModel


class Shelf:
    """The models that a connection can take; each takes a worker of its own, which windows of an editor share."""

    def __init__(self, user: UserSettings, times: ModelTimes | None = None) -> None:
        self._times = times or ModelTimes()
        options = EngineOptions()
        of_the_user = msgspec.structs.replace(user, model=AUTO, verifier="")
        installed = model_rungs(of_the_user, options, user.target_ms)
        named = [] if user.model in ("", AUTO, EMBEDDED) and not user.verifier else model_rungs(user, options, math.inf)
        own = Rung(EMBEDDED, EMBEDDED, 0.0, partial(embedded, options), math.inf)
        self.rungs = {rung.name: rung for rung in (*named, own, *installed)}
        """By name: what the user has named, and the others from the smallest to the largest."""
        if named:
            self.first = named[0].name
        elif user.model == EMBEDDED or not installed:
            self.first = EMBEDDED
        else:
            self.first = installed[first_rung(installed, self._times)].name

    def choices(self) -> list[OfferedModel]:
        """Returns what the page shows of them."""
        return [OfferedModel(rung.name, rung.parameters, self._times.of(rung.key)) for rung in self.rungs.values()]
