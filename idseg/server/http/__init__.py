"""What stands between the socket and the routes: the protocol, bodies, and how much of everything."""
