"""The layers between the socket and the routes: the protocol, request bodies, and limits."""
