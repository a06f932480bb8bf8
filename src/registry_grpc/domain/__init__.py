"""Pure rules of the registry: no I/O, no clock, no randomness, no imports from any other room."""
