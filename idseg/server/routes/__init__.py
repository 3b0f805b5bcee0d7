"""One file per group of paths: the cloud API, ``/v1``, and the page."""
