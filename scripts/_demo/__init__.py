"""The end-to-end demonstration. `scripts/demo` is the command; it uses the product as anybody would."""
