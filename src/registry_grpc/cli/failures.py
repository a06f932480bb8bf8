"""Errors for people, and exit codes for programs."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry_grpc.client.errors import RegistryError


class ExitCode(IntEnum):
    """What `mreg` exits with."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    DENIED = 4
    CONFLICT = 5
    UNAVAILABLE = 6
    INTEGRITY = 7
    INTERRUPTED = 130


def exit_code(error: RegistryError) -> ExitCode:
    """The exit code for a failed call."""
    from registry_grpc.client import errors

    kinds: tuple[tuple[tuple[type[RegistryError], ...], ExitCode], ...] = (
        ((errors.IntegrityError,), ExitCode.INTEGRITY),
        ((errors.NotFound,), ExitCode.NOT_FOUND),
        ((errors.PermissionDenied, errors.Unauthenticated), ExitCode.DENIED),
        ((errors.Conflict, errors.AlreadyExists, errors.FailedPrecondition), ExitCode.CONFLICT),
        ((errors.Unavailable, errors.DeadlineExceeded, errors.ResourceExhausted), ExitCode.UNAVAILABLE),
        ((errors.InvalidArgument,), ExitCode.USAGE),
    )
    return next((code for classes, code in kinds if isinstance(error, classes)), ExitCode.ERROR)


def report(error: RegistryError, endpoint: str, *, verbose: bool) -> ExitCode:
    """Print what was wrong and what to do next; returns the exit code."""
    message = " ".join(error.message.split()) or error.code.name
    print(f"mreg: {message}{_advice(error, endpoint)}", file=sys.stderr)
    told = error.message
    for violation in error.violations:
        if verbose or violation.description not in told:
            print(f"  {violation.subject}: {violation.description}", file=sys.stderr)
    if verbose:
        print(f"  status: {error.code.name}", file=sys.stderr)
        facts = {"reason": error.reason, **error.metadata, "request id": error.request_id}
        for key, value in facts.items():
            if value:
                print(f"  {key}: {value}", file=sys.stderr)
    return exit_code(error)


def _advice(error: RegistryError, endpoint: str) -> str:
    from registry_grpc.client import errors

    if isinstance(error, errors.Unauthenticated) and error.reason == "TOKEN_MISSING":
        return "; `mreg login`, or give one with --token-file or MREG_TOKEN_FILE"
    if isinstance(error, errors.Unauthenticated) and error.reason:
        return "; `mreg login` again, or give a new one with --token-file or MREG_TOKEN_FILE"
    if isinstance(error, errors.Unavailable) and not error.reason:
        return f"; is the registry at {endpoint} running? `mreg doctor` looks closer"
    if isinstance(error, errors.DeadlineExceeded) and not error.reason:
        return f"; {endpoint} did not answer in time, try again or give a longer --timeout"
    if isinstance(error, errors.Conflict):
        return "; look again and decide"
    return ""
