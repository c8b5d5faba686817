"""Embedded sandbox of the Space Invoices API: a development tool, never shipped.

`model.Sandbox` is the API in memory, without sockets, wall clock or randomness. `server` puts it on real HTTP and `transport`
mounts it into an httpx client. What it promises is `openapi.yaml`; what it decides where that document is silent is said in
the module that decides it.
"""
