"""Where the bytes of artifacts are kept: `local` and `s3`, and wrappers that each add one thing.

No rule of the registry lives here, and no gRPC: a store knows keys, never models or versions.
"""
