"""``python -m idseg``."""

from idseg.cli import main

main(prog_name="idseg")
