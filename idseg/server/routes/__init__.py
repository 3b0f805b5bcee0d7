"""One file for each group of paths: the cloud API, ``/v1``, the page, operations."""
