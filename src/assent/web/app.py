"""The application: routes, guards and static files around one `Service`."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from assent.web import admin, annotator_pages, api, pages, problems
from assent.web.guard import Guard
from assent.web.page import HERE
from assent.web.service import Service


def create_app(service: Service) -> FastAPI:
    """The feedback service as an ASGI application.

    Args:
        service: what its routes use. The caller closes the store.
    """
    app = FastAPI(
        title="assent",
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
