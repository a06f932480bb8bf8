"""Roles, bindings, service accounts and tokens. Every verb that changes one holds the others off first."""
