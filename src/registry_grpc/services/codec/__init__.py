"""Where the domain and the wire meet, one file per resource family. Nothing else builds or reads wire resources.

`x_to_wire` gives a message; `x_from_wire` a domain value, raising INVALID_FIELD with the field's path;
`x_changes` the domain fields an update mask selects, ready for `dataclasses.replace`.
"""
