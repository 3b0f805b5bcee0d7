"""The drop-in server. Nothing outside this folder imports a web framework.

``app`` puts everything together and ``run`` starts it. ``settings``: what can be set. ``auth/``: who calls. ``http/``:
what stands between the socket and the routes. ``routes/``: one file for each group of paths. ``page/``: the browser's
files. ``logs``, ``metrics``, ``memory``: how the server is watched.
"""
