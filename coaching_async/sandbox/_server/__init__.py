"""The HTTP service: the ASGI application, the server that runs it, and the control endpoints of the sandbox itself."""
