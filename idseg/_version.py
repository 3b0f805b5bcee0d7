"""The version, in one place: the build reads it here, and so do the command line and the results."""

__version__ = "0.1.0"
