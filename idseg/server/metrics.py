"""Metrics for Prometheus, kept in the server's own process. Memory has a ``pid`` label for each process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from idseg.server.memory import resident_bytes

_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "idseg_requests",
            "Requests answered, by endpoint and error code (0: none).",
            ("endpoint", "code"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "idseg_request_seconds",
            "Time from a request's headers to its answer.",
            ("endpoint",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.stages = Histogram(
            "idseg_stage_seconds",
            "Time per stage of a photo.",
            ("stage",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.received = Counter("idseg_received_bytes", "Bytes of request bodies.", registry=self.registry)
        self.lost = Counter(
            "idseg_clients_gone", "Clients that disconnected before their answer.", registry=self.registry
        )
        self.accepted = Gauge(
            "idseg_photos_accepted",
            "Photos in work or waiting.",
            registry=self.registry,
        )
        self.capacity = Gauge(
            "idseg_photos_capacity",
            "Maximum photos in work or waiting.",
            registry=self.registry,
        )
        self.workers = Gauge(
            "idseg_workers_ready", "Worker processes that have loaded their models.", registry=self.registry
        )
        self.replaced = Gauge(
            "idseg_workers_replaced",
            "Worker processes that died, or hung and were killed, and were replaced.",
            registry=self.registry,
        )
        self.connections = Gauge("idseg_connections", "Open connections.", registry=self.registry)
        self.resident = Gauge(
            "idseg_resident_bytes",
            "Memory of the server's processes.",
            ("pid",),
            registry=self.registry,
        )

    def observe(self, endpoint: str, code: int, seconds: float, stages_ms: Mapping[str, float]) -> None:
        """Record a finished request."""
        self.requests.labels(endpoint, str(code)).inc()
        self.seconds.labels(endpoint).observe(seconds)
        for stage, milliseconds in stages_ms.items():
            self.stages.labels(stage).observe(milliseconds / 1000)

    def text(self, workers: Mapping[int, int]) -> bytes:
        """All metrics in Prometheus's text format.

        Args:
            workers: process id of each worker → resident bytes.
        """
        self.resident.clear()
        for pid, count in {os.getpid(): resident_bytes(), **workers}.items():
            self.resident.labels(str(pid)).set(count)
        return generate_latest(self.registry)
