"""The in-toto statement inside a bundle, and how what it signs differs from the files there are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.digests import is_sha256
from registry_grpc.domain.signing.bundle import BrokenBundleError, shown, strict_json

if TYPE_CHECKING:
    from collections.abc import Mapping

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
ONE_FILE = "."
"""Name of the only resource when a file was signed and not a directory."""
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed."""

    subject: str
    """What the signer called the model."""
    resources: Mapping[str, str]
    """Path to SHA-256, hex."""


def read_statement(payload: bytes) -> Statement:
    """Raises: BrokenBundleError for anything but a statement of OpenSSF Model Signing v1.0 over SHA-256 of files."""
    try:
        statement, twice = strict_json(payload)
    except ValueError as error:
        raise BrokenBundleError(f"the payload is no JSON: {shown(str(error))}") from None
    if twice:
        raise BrokenBundleError(f"the payload has the key {shown(twice)} twice in one object")
    if not isinstance(statement, dict) or statement.get("_type") != STATEMENT_TYPE:
        raise BrokenBundleError(f"the payload is no in-toto statement of the type {STATEMENT_TYPE}")
    kind = statement.get("predicateType")
    if kind != PREDICATE_TYPE:
        raise BrokenBundleError(f"the predicateType is {shown(kind)}, not {PREDICATE_TYPE}; sign again")
    subject, root = _subject(statement.get("subject"))
    predicate = statement.get("predicate")
    if not isinstance(predicate, dict):
        raise BrokenBundleError("the predicate is no object")
    _check_serialization(predicate.get("serialization"))
    resources = _resources(predicate.get("resources"))
    joined = hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in resources.values())).hexdigest()
    if joined != root:
        raise BrokenBundleError(f"the subject has the digest {root}, its resources {joined}")
    return Statement(subject, resources)


def _subject(subjects: object) -> tuple[str, str]:
    if not isinstance(subjects, list) or len(subjects) != 1 or not isinstance(subjects[0], dict):
        raise BrokenBundleError("the statement must have one subject")
    name, digest = subjects[0].get("name"), subjects[0].get("digest")
    if not isinstance(name, str) or not isinstance(digest, dict) or set(digest) != {"sha256"}:
        raise BrokenBundleError("the subject must have a name and a sha256 digest")
    return name, _sha256(digest["sha256"], "the subject")


def _check_serialization(given: object) -> None:
    if not isinstance(given, dict):
        raise BrokenBundleError("the predicate has no serialization")
    for field, wanted in (("method", "files"), ("hash_type", "sha256")):
        if given.get(field) != wanted:
            raise BrokenBundleError(
                f"the serialization has {field} {shown(given.get(field))}; only {wanted!r} can be compared"
            )
    if given.get("allow_symlinks", False) is not False:
        raise BrokenBundleError("allow_symlinks is on: what a link leads to is not what is signed; sign without it")
    ignored = given.get("ignore_paths", [])
    # They are not looked at: every file of the version must be signed, ignored or not.
    if not isinstance(ignored, list) or not all(isinstance(path, str) for path in ignored):
        raise BrokenBundleError("ignore_paths is no list of paths")


def _resources(found: object) -> dict[str, str]:
    if not isinstance(found, list) or not found:
        raise BrokenBundleError("the predicate has no resources")
    resources: dict[str, str] = {}
    for each in found:
        name, digest = _resource(each)
        if name in resources:
            raise BrokenBundleError(f"the resource {shown(name)} is there twice")
        resources[name] = digest
    return resources


def _resource(each: Any) -> tuple[str, str]:  # noqa: ANN401 -- any JSON
    if not isinstance(each, dict) or set(each) != {"name", "algorithm", "digest"} or not isinstance(each["name"], str):
        raise BrokenBundleError("a resource must have name, algorithm and digest, and nothing else")
    if each["algorithm"] != "sha256":
        raise BrokenBundleError(f"the resource {shown(each['name'])} has the algorithm {shown(each['algorithm'])}")
    return each["name"], _sha256(each["digest"], f"the resource {shown(each['name'])}")


def _sha256(text: object, of: str) -> str:
    if not isinstance(text, str) or not is_sha256(text):
        raise BrokenBundleError(f"{of} has no SHA-256 of 64 lowercase hexadecimal characters")
    return text


def difference(statement: Statement, files: Mapping[str, str]) -> str:
    """How what is signed differs from `files` (path to SHA-256), as a sentence; empty when it does not."""
    signed = statement.resources
    if set(signed) == {ONE_FILE} and len(files) == 1:
        (path,) = files
        if statement.subject == path.rpartition("/")[2]:
            signed = {path: signed[ONE_FILE]}
    for text, paths in (
        ("it does not sign {}", set(files) - set(signed)),
        ("it signs {}, not in the version", set(signed) - set(files)),
        ("it signs other bytes of {}", {path for path in set(files) & set(signed) if files[path] != signed[path]}),
    ):
        if paths:
            some = ", ".join(shown(path) for path in sorted(paths)[:_NAMED])
            more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
            return text.format(some + more)
    return ""
