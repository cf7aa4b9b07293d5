"""The application: all doors, behind the guard, before the figures."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from mynah.serve import openai, problems, progress, songs, voices
from mynah.serve.asking import House
from mynah.serve.guard import App, Guard
from mynah.serve.metrics import JobFigures, Metrics


def application(house: House, page: Callable[[FastAPI], None] = lambda app: None) -> App:
    """Everything that a server answers.

    Args:
        house: Settings, jobs and queue.
        page: Puts what is no door of ours, such as the studio, behind our doors.
    """
    app = FastAPI(title="Mynah", docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    app.state.house = house
    problems.install(app)
    for door in (openai, songs, progress, voices):
        app.include_router(door.router)
    registry = CollectorRegistry()
    registry.register(JobFigures(house.jobs))

    @app.get("/health")
    def health() -> dict[str, str]:
        """Whether the server answers, and can read its table."""
        house.jobs.count("queued")
        return {"status": "ok"}

    @app.get("/metrics", response_class=Response)
    def metrics() -> Response:
        """Figures in the words of Prometheus."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    page(app)
    return Metrics(Guard(app, house.settings), registry)
