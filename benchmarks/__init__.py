"""How good, how fast and how large idseg is, measured; see README.md beside this file."""
