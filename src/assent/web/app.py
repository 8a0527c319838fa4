"""The application: routes, guards and static files around one `Service`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from assent.web import admin, annotator_pages, api, pages, problems
from assent.web.guard import Guard
from assent.web.page import HERE
from assent.web.service import Service

THREADS = 16  # of one process on PostgreSQL, where each holds a connection while it answers


def create_app(service: Service) -> FastAPI:
    """The feedback service as an ASGI application.

    Args:
        service: what its routes use. The caller closes the store.
    """

    @asynccontextmanager
    async def few_threads(_app: FastAPI) -> AsyncIterator[None]:
        if service.store.engine.dialect.name != "sqlite":
            current_default_thread_limiter().total_tokens = THREADS
        yield

    app = FastAPI(
        title="assent",
        lifespan=few_threads,
        version=version("assent"),
        description="People judge what a policy writes; their judgements train it.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    problems.install(app)
    app.include_router(api.router)
    app.include_router(pages.router)
    app.include_router(annotator_pages.router)
    app.include_router(admin.router)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.add_middleware(Guard, hosts=service.hosts, remote=service.remote)
    return app
