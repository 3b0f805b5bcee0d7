"""The command line. A command's modules are imported only when it runs, so that ``idseg --help`` is fast."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from idseg._version import __version__
from idseg.cli.many import survive_any_terminal
from idseg.cli.runner import EXITS

_COMMANDS: dict[str, str] = {
    "batch": "Process many photos: folders, globs, manifests; resumable, also on Ray.",
    "check": "Check for each rule of a document whether a photo meets it.",
    "compare": "Compare saved replies of the API with idseg's answers; one HTML report.",
    "doctor": "Check this machine and say how to fix what is missing.",
    "keys": "Create, list and remove API keys of the server.",
    "models": "List idseg's models and check their files.",
    "photo": "Make finished ID photos: placed by a document's rules, and print sheets.",
    "record": "Send photos to a service of the API and save its replies.",
    "segment": "Cut one person out of each PHOTO.",
    "serve": "Answer the cloud API's requests over HTTP, with a web page.",
    "sizes": "List the sizes of ID photos.",
}
"""Command → its line in --help. Each command is a function in a file, both with the command's name."""


class _Commands(click.Group):
    """Imports a command's file only when the command runs."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Prepare the terminal before anything is written, including ``--help``."""
        survive_any_terminal()
        return super().main(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"idseg.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, epilog=EXITS
)
@click.version_option(__version__, prog_name="idseg")
def main() -> None:
    """Portrait segmentation for ID photos, on this machine.

    \b
    From one selfie it makes the head-and-shoulders cut, a hair-level matte, a demo on black, the face box,
    ten body parts, and the classes of face and body pose. No data leaves the machine.

    \b
    Start with:
      idseg segment selfie.jpg -o out --overlay --background white
    """
