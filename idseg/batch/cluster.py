"""The engine for a Ray cluster: Ray Data hands the photos out, each of its workers runs a local pool of one process.

The only file that imports ray. Photos go through the same :func:`idseg.batch.work.do` in the same kind of process as
on one machine, so that a photo that kills or hangs its process costs that process and not Ray's, is tried as often, and
both engines give the same bytes. A Ray worker or a node that dies is Ray's to replace; the photos that it held are done
again, and their files replaced by equal ones.

All nodes need the same idseg, and must reach IN and OUT: a shared folder, or URLs.
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
"""Photos in one Ray dataset: some 6 MB of names here. Models are loaded anew for the next one: 1 s in an hour."""
_CONNECT_S = 10.0
_IN_A_BLOCK = 16
"""Photos that one call of a worker does: what is lost when it dies, and how often we hear from it."""


def ray_engine(options: LocalOptions, address: str | None = None) -> Engine:
    """Workers of a Ray cluster.

    Args:
        options: ``workers`` 0: as many as the cluster has cores for, ``threads`` each.
        address: of the cluster; None: ``$RAY_ADDRESS``, and where that is not set, a cluster of this machine.
    """

    def engine(items: Iterator[Item], work: Work, stop: Callable[[], bool]) -> Iterator[Outcome]:
        ray = _started(options, address)
        workers = options.workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // options.threads)
        while not stop() and (some := list(islice(items, _AT_A_TIME))):
            yield from _do(ray, some, work, replace(options, workers=workers), stop)

    return engine


def _do(ray: Any, items: list[Item], work: Work, options: LocalOptions, stop: Callable[[], bool]) -> Iterator[Outcome]:
    """Outcomes of some photos as they come."""
    told = [
        json.dumps([item.key, item.source, item.version]) for item in items
    ]  # ASCII: Arrow wants UTF-8, names don't
    blocks = max(min(options.workers, len(items)), -(-len(items) // _IN_A_BLOCK))
    dataset = ray.data.from_items(told, override_num_blocks=blocks).map_batches(
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
        raise BatchError(f"Ray cannot go on: {type(error).__name__}: {last[:300]}") from error


class _Segmenting:
    """One Ray worker: a local pool of one process, which keeps the models between calls."""

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
        except IdsegError as error:  # the whole batch's, not this block's: Ray must not try it again
            return {"outcome": np.array([""], object), "error": np.array([pickle.dumps(error)], object)}
        told = [outcome.to_json() for outcome in outcomes]
        return {"outcome": np.array(told, object), "error": np.array([b""] * len(told), object)}


def _started(options: LocalOptions, address: str | None) -> Any:
    """Ray, connected to a cluster.

    Raises:
        DependencyError: it is not installed.
    """
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # read when it is imported; tells what it then mends
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise DependencyError("--engine ray needs Ray; install it with: pip install 'idseg[ray]'") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it tells each dataset's plan and end
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    if not ray.is_initialized():
        ours = address is None and "RAY_ADDRESS" not in os.environ
        cores: dict[str, Any] = {"num_cpus": options.workers * options.threads} if ours and options.workers else {}
        quiet: dict[str, Any] = {"logging_level": "error"}  # Ray declares an int and takes its own name of the level
        _check_address(address or os.environ.get("RAY_ADDRESS", ""))
        with _own_signals():
            try:
                # "local": without it Ray joins whatever cluster was last started on this machine
                ray.init(address="local" if ours else address, log_to_driver=False, **quiet, **cores)
            except ConnectionError as error:
                place = address or os.environ.get("RAY_ADDRESS")
                raise ProviderError(
                    f"cannot join the Ray cluster at {place}: {str(error)[:200]} (Is it running? Does it want a token,"
                    " RAY_AUTH_TOKEN?)"
                ) from error
    return ray


def _check_address(address: str) -> None:
    """Raises ProviderError where nobody listens at ``HOST:PORT``: Ray itself would try for minutes, or for ever."""
    host, _, port = address.rpartition(":")
    if not host or "://" in address or not port.isdigit():
        return  # "auto", "local", a Ray client's URL, or none
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except OSError as error:
        raise ProviderError(f"no Ray cluster answers at {address}: {error.strerror or error}") from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray replaces the handler of SIGTERM by one that leaves at once: put ours back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
