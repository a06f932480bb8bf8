"""The wire side of the registry: thin servicers, the codec, validation, and the one error table."""
