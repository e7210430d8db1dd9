"""What goes wrong, said the same way everywhere: a message, a hint, a status; JSON for programs, a page for people."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from ebbtide.errors import (
    ConfigError,
    DataError,
    EbbtideError,
    NoDataError,
    NotFoundError,
    Problem,
    ServiceError,
    UsageError,
)

_STATUS: tuple[tuple[type[EbbtideError], int], ...] = (
    (NotFoundError, 404),
    (NoDataError, 404),
    (UsageError, 422),
    (ConfigError, 422),
    (DataError, 422),
    (ServiceError, 503),
)
_PLAIN = {404: "there is nothing here", 405: "this address does not take that method"}


class Mistake(BaseModel):
    """One of several mistakes."""

    where: str
    message: str
    hint: str


class Refusal(BaseModel):
    """Why a request was refused, and what to do."""

    message: str
    hint: str = ""
    where: str = ""
    problems: list[Mistake] = Field(default_factory=list)


#: What any route may answer beside its own: for the OpenAPI document.
REFUSALS: dict[int | str, dict[str, object]] = {
    status: {"model": Refusal, "description": text}
    for status, text in (
        (400, "the request cannot be read"),
        (401, "a token is needed"),
        (403, "not allowed"),
        (404, "not there"),
        (413, "too large"),
        (422, "a value that cannot be used"),
        (503, "the store is not available"),
    )
}


class Refused(EbbtideError):
    """A request that is refused with a status of its own."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class SeeOther(Exception):
    """The browser is sent elsewhere."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


ErrorPage = Callable[[Request, int, Refusal], Response]


def install(app: FastAPI, page: ErrorPage) -> None:
    """Answer every error: under `/api` and for other programs as JSON, else by `page`."""

    def answer(request: Request, status: int, refusal: Refusal) -> Response:
        if request.url.path.startswith("/api"):
            headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
            return JSONResponse(refusal.model_dump(), status, headers)
        return page(request, status, refusal)

    def ours(request: Request, error: Exception) -> Response:
        if not isinstance(error, EbbtideError):
            raise error
        return answer(request, status_of(error), refusal_of(error))

    def theirs(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        message = _PLAIN.get(error.status_code, str(error.detail))
        response = answer(request, error.status_code, Refusal(message=message))
        response.headers.update(error.headers or {})
        return response

    def invalid(request: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):
            raise error
        problems = [
            Mistake(where=".".join(map(str, one["loc"])), message=str(one["msg"]), hint="") for one in error.errors()
        ]
        return answer(request, 422, Refusal(message="the request has mistakes", problems=problems))

    def elsewhere(request: Request, error: Exception) -> Response:
        if not isinstance(error, SeeOther):
            raise error
        if request.headers.get("hx-request"):
            return Response(status_code=204, headers={"HX-Redirect": error.path})
        return RedirectResponse(error.path, 303)

    app.add_exception_handler(EbbtideError, ours)
    app.add_exception_handler(HTTPException, theirs)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(SeeOther, elsewhere)


def status_of(error: EbbtideError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, Refused):
        return error.status
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def refusal_of(error: EbbtideError) -> Refusal:
    """The error as an answer."""
    found: tuple[Problem, ...] = error.problems if isinstance(error, ConfigError) else ()
    problems = [Mistake(where=one.where, message=one.message, hint=one.hint) for one in found]
    return Refusal(message=error.message, hint=error.hint, where=error.where, problems=problems)
