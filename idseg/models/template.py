"""Imported once, and only, by the template process that workers are forked from (``multiprocessing``'s fork server).

It imports the libraries that every worker needs, and starts no thread: what is forked from it is as good as new. The
models are loaded after the fork, since MediaPipe's and ONNX Runtime's threads would not survive one.
"""

from __future__ import annotations

import os
import signal

from idseg.models.process import die_with_the_parent

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads start when NumPy is imported, after this
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a service manager's stop is for the parent
die_with_the_parent()
