"""The `mreg` command: thin commands over the SDK; data on stdout, everything else on stderr."""
