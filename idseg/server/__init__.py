"""The drop-in server. Only this folder imports a web framework.

``app`` combines all parts and ``run`` starts the server. ``settings``: all settings. ``auth/``: identifies the caller.
``http/``: the layers between the socket and the routes. ``routes/``: one file per group of paths. ``page/``: the files
of the web page. ``logs``, ``metrics``, ``memory``: monitoring.
"""
