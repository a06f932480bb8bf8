"""The process: settings, listeners, interceptors, pools, lifecycle, and the composition root."""

from registry_grpc.server.heaps import share_heaps

# Here, because it must come before gRPC is imported, which starts threads.
share_heaps()
