"""Filters: a subset of AIP-160, from text to typed conditions that Python and SQL evaluate alike."""
