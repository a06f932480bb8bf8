"""Readers of the first bytes of files, one module for each family; `domain.formats` asks them in turn.

Every reader is bounded in bytes and steps, raises nothing whatever it is fed, and never decompresses,
loads or imports more than a head.
"""
