"""``python -m idseg``."""

from idseg.cli.main import main

main(prog_name="idseg")
