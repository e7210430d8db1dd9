"""The application: pages, API, static files and probes of one site, behind its guard. Whoever serves it runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.staticfiles import StaticFiles

from ebbtide.web import api, api_decisions, api_learning, api_operations, pages, pages_more, refusal
from ebbtide.web.access import Access
from ebbtide.web.guard import Guard, name_of
from ebbtide.web.site import Site
from ebbtide.web.tuning import Bench
from ebbtide.web.views import Views

_TAGS = ("findings", "entities", "filters", "learning", "plans", "detections", "backtests", "health")


def make_app(site: Site) -> FastAPI:
    """The application of a site. It holds no state but the site's views, backtests and access, let go at its end."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.bench.close()
        app.state.views.close()

    app = FastAPI(
        title="Ebbtide",
        version=site.version,
        description="Findings about what processes send out, and what people decide about them.",
        openapi_url="/api/v1/openapi.json",
        openapi_tags=[{"name": name} for name in _TAGS],
        docs_url=None,
        redoc_url=None,
        lifespan=life,
    )
    app.state.site = site
    app.state.access = Access(site)
    app.state.views = Views(site.store)
    app.state.bench = Bench(site.store, site.detectors)
    app.include_router(api.router)
    app.include_router(api_decisions.router)
    app.include_router(api_learning.router)
    app.include_router(api_operations.router)
    app.include_router(pages.router)
    app.include_router(pages_more.router)
    app.add_api_route("/healthz", _alive, include_in_schema=False)
    app.add_api_route("/readyz", _ready, include_in_schema=False)
    # Both rooms ship charts' code: the report's uPlot is the pages' too.
    app.mount("/static/uplot", _Static(packages=[("ebbtide.report", "static/uplot")]))
    app.mount("/static", _Static(packages=[("ebbtide.web", "static")]))
    refusal.install(app, pages_more.error_page)
    hosts = frozenset({name_of(urlsplit(site.public_url).netloc), *map(name_of, site.hosts)})
    app.add_middleware(Guard, hosts=hosts, most_body_bytes=site.most_body_bytes)
    return app


class _Static(StaticFiles):
    """Static files with addresses that change with them: a browser may keep them."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """The file, to be kept for a year."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type] # passed on as they came
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


async def _alive() -> Response:
    """The process answers."""
    return JSONResponse({"status": "alive"})


def _ready(request: Request) -> Response:
    """Whether it does its work: 503 and the reasons when it does not."""
    health = request.app.state.site.health()
    problems = [one.text for one in health.problems if one.severity.value == "critical"]
    return JSONResponse({"ready": health.is_ready, "problems": problems}, 200 if health.is_ready else 503)
