"""One verb each: what the registry does, over ports. No gRPC, no SQL, no clock of its own.

A use case that changes something takes a `Call` and returns what `Store.write` returns; its `work` may run again.
Resource fields arrive as the keyword arguments of the domain type, already validated by the edge.
"""
