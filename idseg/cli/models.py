"""``idseg models``."""

from __future__ import annotations

import json

import click

from idseg.cli.runner import clear_errors
from idseg.errors import IdsegError, ModelError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def models(as_json: bool) -> None:
    """List the models that ship with idseg and check their files.

    Shows each model's task, size, licence and source, and compares its file with the SHA-256 of the manifest.
    """
    from idseg.models.manifest import load_manifest

    with clear_errors():
        rows = []
        failure: IdsegError | None = None
        for entry in load_manifest():
            try:
                entry.check()
                state = "ok"
            except ModelError as error:
                state, failure = error.reason, error
            rows.append(
                {
                    "name": entry.name,
                    "task": entry.task,
                    "file": str(entry.path),
                    "bytes": entry.bytes,
                    "licence": entry.licence,
                    "source": entry.source,
                    "sha256": entry.sha256,
                    "state": state,
                }
            )
        if as_json:
            click.echo(json.dumps(rows, indent=2))
        else:
            for row in rows:
                click.echo(
                    f"{row['name']:<20} {row['task']:<16} {int(str(row['bytes'])) / 1e6:6.2f} MB  {row['licence']:<11} "
                    f"{row['state']:<13} sha256 {str(row['sha256'])[:16]}…"
                )
                click.echo(f"{'':<20} {row['source']}")
        if failure is not None:
            raise failure
