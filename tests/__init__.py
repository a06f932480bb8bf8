"""The tests; named after the behaviour they protect."""
