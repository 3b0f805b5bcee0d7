"""Many photos: from a folder, a glob, a manifest or a bucket to the same tree of answers.

::

    sources ─inputs→ Item … ─journal→ those without an answer ─engine→ Outcome … ─journal→ report.csv, refusals.html
              │                                                 │
        walk, manifest                         work: read → segment → products → write

One photo is one :class:`~idseg.batch.items.Item` in and one :class:`~idseg.batch.items.Outcome` out, whatever it does
to the process that works on it. No memory grows with the number of photos: the journal is a database.

**What is done again** when a batch is started a second time: a photo without an outcome in the journal; one whose size
or modification time changed, or a URL's length, tag or date; all, if the options that change pictures, the weights, or
idseg's version changed; one whose files in the output folder are gone or have another length; failed ones if asked for.
Nothing else.
"""

from __future__ import annotations

from idseg.batch.items import BatchError, Item, Outcome, Trouble
from idseg.batch.run import BatchOptions, BatchSummary, run
from idseg.batch.work import Work

__all__ = ["BatchError", "BatchOptions", "BatchSummary", "Item", "Outcome", "Trouble", "Work", "run"]
