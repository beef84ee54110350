"""The gateway on HTTP: its paths as plain ASGI, and what is counted when a request is over."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from lsp_server.backends.served_apis import error_object, model_list
from shared_server.answers import COMPLETION, EDIT, INFILL, Dialect
from shared_server.audit import Audit, AuditLine
from shared_server.call import Call, House
from shared_server.doors import Doors
from shared_server.gateway import Gateway
from shared_server.metrics import Metrics
from shared_server.problems import Problem
from shared_server.settings import ServeSettings
from shared_server.traces import Trace

COMPLETIONS = {
    "/v1/fim/completions": COMPLETION,
    "/v1/completions": COMPLETION,
    "/v1/edit/completions": EDIT,
    "/infill": INFILL,
}


class Web:
    """All that answers on the port."""

    def __init__(self, settings: ServeSettings, gateway: Gateway, doors: Doors, audit: Audit, trace: Trace) -> None:
        self.metrics = Metrics(gateway, audit)
        self._gateway, self._doors, self._audit, self._trace = gateway, doors, audit, trace
        self._house = House(settings, gateway, doors, self._note)

    def app(self) -> Starlette:
        """Returns the application; it loads the models when it starts and lets go of them when it ends."""
        completions = [
            Route(path, _Completions(self._house, path, dialect), methods=["POST"])
            for path, dialect in COMPLETIONS.items()
        ]
        # llama.cpp's name for it, and what everything else asks for
        health = dict.fromkeys(("/health", "/healthz"), self._health)
        others = {**health, "/v1/models": self._models, "/metrics": self._figures}
        routes = [*completions, *(Route(path, answer, methods=["GET"]) for path, answer in others.items())]
        handlers = {Problem: _refused, HTTPException: _unanswered}
        made = Starlette(routes=routes, exception_handlers=handlers, lifespan=self._living)
        made.state.is_leaving = False
        return made

    @asynccontextmanager
    async def _living(self, _: Starlette) -> AsyncGenerator[None, None]:
        await self._doors.start()
        await self._gateway.start()
        try:
            yield
        finally:
            await self._gateway.close()
            await self._doors.close()
            self._audit.close()

    async def _models(self, request: Request) -> Response:
        self._doors.caller(request.headers)
        return JSONResponse(model_list(self._gateway.engines))

    async def _health(self, request: Request) -> Response:
        if request.app.state.is_leaving:
            return JSONResponse({"status": "the server ends"}, HTTPStatus.SERVICE_UNAVAILABLE)
        states = [set(engine.pool.states.values()) for engine in self._gateway.engines.values()]
        # one that owes answers is asked where there is no other one: under load that is no reason to ask nobody
        if all(of_engine & {"ready", "suspect"} for of_engine in states):
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "no replica of some model is ready"}, HTTPStatus.SERVICE_UNAVAILABLE)

    async def _figures(self, request: Request) -> Response:
        self._doors.operator(request.headers)
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    def _note(self, line: AuditLine, headers: Mapping[str, str], began: int, ended: int) -> None:
        self.metrics.note(line)
        self._audit.write(line)
        self._trace(line, headers, began, ended)


class _Completions:
    """A path on which completions are asked for."""

    def __init__(self, house: House, path: str, dialect: Dialect) -> None:
        self._house, self._path, self._dialect = house, path, dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Call(self._house, self._path, self._dialect, Headers(scope=scope), receive, send).run()


async def _refused(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return JSONResponse(error_object(problem.status, problem.reason), problem.status, problem.headers)


async def _unanswered(_: Request, problem: Exception) -> Response:
    """Another path, or another method."""
    assert isinstance(problem, HTTPException)
    reason = f"{problem.detail}: completions are asked for by POST of {', '.join(COMPLETIONS)}"
    return JSONResponse(error_object(problem.status_code, reason), problem.status_code, problem.headers)
