"""The engine for a Ray cluster: Ray Data distributes the photos; each Ray worker runs a local pool of one process.

Only this file imports ray. Each photo goes through :func:`idseg.batch.work.do` in the same kind of process as on one
machine. So a photo that kills or hangs its process does not harm the Ray worker, it is tried as often, and both engines
give the same bytes. Ray replaces workers and nodes that die; their photos are processed again, and the files are
replaced by equal ones.

All nodes need the same version of idseg, and access to IN and OUT: a shared folder, or URLs.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from idseg.batch import parquet
from idseg.batch.items import BatchError, Item, Outcome
from idseg.batch.local import LocalOptions, WorkerPool
from idseg.batch.run import Engine
from idseg.batch.work import Work
from idseg.errors import DependencyError, IdsegError, ProviderError

_AT_A_TIME = 20_000
"""Photos per Ray dataset; their names take about 6 MB here. Each dataset loads the models again."""
_CONNECT_S = 10.0
_IN_A_BLOCK = 16
"""Photos per call of a worker. If a worker dies, it loses these; a larger number makes progress reports rarer."""


def ray_engine(options: LocalOptions, address: str | None = None) -> Engine:
    """Use workers of a Ray cluster.

    Args:
        options: ``workers`` 0: as many as the cluster's cores allow, with ``threads`` cores each.
        address: address of the cluster; None: ``$RAY_ADDRESS``, or else a cluster on this machine.
    """

    def engine(items: Iterator[Item], work: Work, stop: Callable[[], bool]) -> Iterator[Outcome]:
        ray = _started(options, address)
        workers = options.workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // options.threads)
        while not stop() and (some := list(islice(items, _AT_A_TIME))):
            yield from _do(ray, some, work, replace(options, workers=workers), stop)

    return engine


def _do(ray: Any, items: list[Item], work: Work, options: LocalOptions, stop: Callable[[], bool]) -> Iterator[Outcome]:
    """Yield the outcomes of some photos as they arrive."""
    records = [
        json.dumps([item.key, item.source, item.version]) for item in items
    ]  # ASCII, because Arrow requires UTF-8 and names may not be UTF-8
    blocks = max(min(options.workers, len(items)), -(-len(items) // _IN_A_BLOCK))
    dataset = ray.data.from_items(records, override_num_blocks=blocks).map_batches(
        _Segmenting,
        fn_constructor_args=(work, options),
        batch_size=None,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=options.workers),
        num_cpus=options.threads,
    )
    try:
        for batch in dataset.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0):
            for text, error in zip(batch["outcome"], batch["error"], strict=True):
                if error:
                    raise pickle.loads(error)  # noqa: S301 - written by our own worker
                yield Outcome.from_dict(json.loads(text))
            if stop():
                return
    except ray.exceptions.RayError as error:
        last = str(error).strip().rpartition("\n")[2].strip()
        raise BatchError(f"Ray cannot continue: {type(error).__name__}: {last[:300]}") from error


class _Segmenting:
    """A Ray worker: a local pool of one process, which keeps the models between calls."""

    def __init__(self, work: Work, options: LocalOptions) -> None:
        self._shards_to = work.out if work.shards else None
        self._here = tempfile.mkdtemp(prefix="idseg-") if work.shards else work.out
        self._pool = WorkerPool(replace(work, out=self._here), replace(options, workers=1))

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        items = [Item(*json.loads(text)) for text in batch["item"]]
        try:
            outcomes = list(self._pool.run(items))
            if self._shards_to is not None:
                outcomes = parquet.write_shard(outcomes, self._here, self._shards_to)
        except IdsegError as error:  # affects all photos, so Ray must not retry it
            return {"outcome": np.array([""], object), "error": np.array([pickle.dumps(error)], object)}
        records = [outcome.to_json() for outcome in outcomes]
        return {"outcome": np.array(records, object), "error": np.array([b""] * len(records), object)}


def _started(options: LocalOptions, address: str | None) -> Any:
    """Connect to a Ray cluster and return the module ``ray``.

    Raises:
        DependencyError: Ray is not installed.
    """
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # read at import; hides errors that Ray repairs
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise DependencyError("--engine ray needs Ray; install it with: pip install 'idseg[ray]'") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # hides the plan and end of each dataset
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    if not ray.is_initialized():
        ours = address is None and "RAY_ADDRESS" not in os.environ
        cores: dict[str, Any] = {"num_cpus": options.workers * options.threads} if ours and options.workers else {}
        quiet: dict[str, Any] = {"logging_level": "error"}  # Ray declares an int but accepts the level's name
        _check_address(address or os.environ.get("RAY_ADDRESS", ""))
        with _own_signals():
            try:
                # "local": otherwise Ray joins the cluster that was started last on this machine.
                ray.init(address="local" if ours else address, log_to_driver=False, **quiet, **cores)
            except ConnectionError as error:
                place = address or os.environ.get("RAY_ADDRESS")
                raise ProviderError(
                    f"cannot join the Ray cluster at {place}: {str(error)[:200]} (Is it running? Does it want a token,"
                    " RAY_AUTH_TOKEN?)"
                ) from error
    return ray


def _check_address(address: str) -> None:
    """Raises ProviderError if nothing listens at ``HOST:PORT``. Ray itself would retry for minutes, or for ever."""
    host, _, port = address.rpartition(":")
    if not host or "://" in address or not port.isdigit():
        return  # "auto", "local", a Ray client's URL, or none
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except OSError as error:
        raise ProviderError(f"no Ray cluster answers at {address}: {error.strerror or error}") from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """Restore our SIGTERM handler, which Ray replaces by one that exits at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
