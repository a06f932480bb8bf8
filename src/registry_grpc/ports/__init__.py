"""What the core demands of the outside, as Protocols. A docstring is the contract; one suite runs on every engine."""
