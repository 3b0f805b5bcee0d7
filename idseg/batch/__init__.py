"""Processes many photos from a folder, a glob, a manifest or a bucket, and writes the answers to the same tree.

::

    sources ─inputs→ Item … ─journal→ those without an answer ─engine→ Outcome … ─journal→ report.csv, refusals.html
              │                                                 │
        walk, manifest                         work: read → segment → products → write

Each photo is one :class:`~idseg.batch.items.Item` and gives one :class:`~idseg.batch.items.Outcome`, even if it kills
its process. Memory does not grow with the number of photos, because the journal is a database.

**When a batch is started again**, it processes these photos: those without an outcome in the journal; those whose size
or modification time changed (of a URL: length, tag or date); those whose output files are missing or have another
length; failed ones with ``--retry-failed``; and all photos if idseg's version, the model files or options that change
the pictures are different. It processes no others.
"""

from __future__ import annotations

from idseg.batch.items import BatchError, Item, Outcome, Trouble
from idseg.batch.run import BatchOptions, BatchSummary, run
from idseg.batch.work import Work

__all__ = ["BatchError", "BatchOptions", "BatchSummary", "Item", "Outcome", "Trouble", "Work", "run"]
