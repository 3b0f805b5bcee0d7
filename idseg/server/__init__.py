"""The drop-in server. Nothing outside this folder imports a web framework.

The order of the files: ``settings`` (what can be set) → ``keys``, ``midstate``, ``tokens``, ``bce``, ``access`` (who)
→ ``limits``, ``body`` (how much) → ``wire`` (the API), ``page`` (the web page), ``logs``, ``metrics`` → ``app`` (all
together) → ``protocol``, ``run`` (uvicorn).
"""
