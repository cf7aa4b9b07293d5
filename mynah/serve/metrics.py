"""Figures for Prometheus: requests as they are answered, and jobs as the table has them."""

from __future__ import annotations

import time
from collections.abc import Iterator, MutableMapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from mynah.serve.guard import App, Message, Receive, Send
from mynah.serve.jobs import ACTIVE, Jobs


class Metrics:
    """Stands before everything else and counts; no label holds what a client chose."""

    def __init__(self, app: App, registry: CollectorRegistry) -> None:
        self.app = app
        self._requests = Counter(
            "mynah_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "mynah_request_seconds", "Until the last byte of an answer.", ["route"], registry=registry
        )

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, start = 500, time.perf_counter()

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, seen)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in ("GET", "POST", "DELETE", "HEAD") else "other"
            self._requests.labels(method, route, str(status)).inc()
            self._seconds.labels(route).observe(time.perf_counter() - start)


class JobFigures(Collector):
    """What the table says when somebody asks."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Jobs that wait and run, jobs that ended, and how long they took."""
        now = GaugeMetricFamily("mynah_jobs", "Jobs that wait or run.", labels=["status"])
        for status in ACTIVE:
            now.add_metric([status], self._jobs.count(status))
        yield now
        ended = CounterMetricFamily("mynah_jobs_ended", "Jobs that ended.", labels=["kind", "status"])
        seconds = CounterMetricFamily("mynah_job_seconds", "Spent on jobs that ended.", labels=["kind", "status"])
        for kind, how, count, spent in self._jobs.totals():
            ended.add_metric([kind, how], count)
            seconds.add_metric([kind, how], spent)
        yield ended
        yield seconds
