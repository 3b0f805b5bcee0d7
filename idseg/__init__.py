"""idseg: local portrait segmentation for ID photos."""

__version__ = "0.1.0"
