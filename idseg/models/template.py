"""Imported only by the template process from which workers are forked (``multiprocessing``'s fork server).

It imports the libraries that every worker needs and starts no threads, so that a fork is safe. The models are loaded
after the fork, because threads of MediaPipe and ONNX Runtime would not survive it.
"""

from __future__ import annotations

import os
import signal

from idseg.models.process import die_with_the_parent

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # must be set before the NumPy import starts its threads
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the parent handles a service manager's stop
die_with_the_parent()
