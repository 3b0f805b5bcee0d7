"""Numbers for Prometheus.

With one process they live in memory. With several, ``idseg serve`` makes a private folder for prometheus_client's
memory-mapped files, so that whichever worker answers ``/metrics`` gives the sums of all (counters of a killed worker
stay in the sums); gauges of the processes themselves carry a ``pid`` label.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

MULTIPROCESS_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)


class Metrics:
    """The numbers of one app."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._folder = os.environ.get(MULTIPROCESS_VARIABLE)
        self.requests = Counter(
            "idseg_requests",
            "Requests answered, by endpoint and error code (0: none).",
            ("endpoint", "code"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "idseg_request_seconds",
            "From the request's headers to its answer.",
            ("endpoint",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.stages = Histogram(
            "idseg_stage_seconds",
            "Time of one photo in each stage.",
            ("stage",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.received = Counter("idseg_received_bytes", "Bytes of request bodies.", registry=self.registry)
        self.lost = Counter("idseg_clients_gone", "Clients that left before their answer.", registry=self.registry)
        self.accepted = Gauge(
            "idseg_photos_accepted",
            "Photos worked on or waiting now.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.capacity = Gauge(
            "idseg_photos_capacity",
            "Photos that may be worked on or waiting.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.resident = Gauge(
            "idseg_resident_bytes",
            "Memory of a worker as of its last request.",
            registry=self.registry,
            multiprocess_mode="liveall",
        )

    def observe(self, endpoint: str, code: int, seconds: float, stages_ms: Mapping[str, float]) -> None:
        """One request is done."""
        self.requests.labels(endpoint, str(code)).inc()
        self.seconds.labels(endpoint).observe(seconds)
        for stage, milliseconds in stages_ms.items():
            self.stages.labels(stage).observe(milliseconds / 1000)
        self.resident.set(resident_bytes())

    def text(self) -> bytes:
        """All numbers in Prometheus's text format."""
        self.resident.set(resident_bytes())
        if not self._folder:
            return generate_latest(self.registry)
        forget_dead_workers(Path(self._folder))
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=self._folder)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def forget_dead_workers(folder: Path) -> None:
    """Drop the gauges of processes that are no more; counters stay."""
    pids = {
        int(match[1]) for file in folder.iterdir() if (match := re.fullmatch(r"gauge_live\w*?_(\d+)\.db", file.name))
    }
    for pid in pids:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, path=str(folder))  # type: ignore[no-untyped-call]


def resident_bytes() -> int:
    """This process's resident memory; 0 where there is no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
