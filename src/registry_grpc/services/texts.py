"""Grammars of text fields. Each rule takes a value and says what is wrong with it; empty when nothing is.

Text is stored as sent: never trimmed, normalised or escaped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from registry_grpc.domain.access_names import RoleName, Scope, is_member, is_principal
from registry_grpc.domain.artifacts import check_path
from registry_grpc.domain.digests import is_sha256
from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.evidence_names import TrustedSignerName
from registry_grpc.domain.lineage_names import is_run_id
from registry_grpc.domain.names import (
    ID_PATTERN,
    LATEST,
    ModelName,
    ProjectName,
    VersionName,
    is_id,
    is_manifest_digest,
    is_pointer_id,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Rule = Callable[[str], str]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,8}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ETAG = re.compile(r"[\x21-\x7e]{1,128}")
_URI_CHARS = r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})"
_URI = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*:{_URI_CHARS}+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_WORD = r"[A-Za-z0-9!#$&^_.+-]+"
_MEDIA_TYPE = re.compile(rf"{_WORD}/{_WORD}(?: ?; ?{_WORD}=(?:{_WORD}|\"[\x20\x21\x23-\x5b\x5d-\x7e]*\"))*")
_ID_PATTERN = re.compile(r"[a-z0-9._*?-]{1,63}")
_PERMISSION = re.compile(r"[a-z][A-Za-z]{0,31}\.[a-z][A-Za-z]{0,31}")
_IN_PROJECT = re.compile(rf"(?:projects/{ID_PATTERN}(?:/[A-Za-z0-9._/-]{{1,400}})?)?")
_CERTIFICATE_NAME = re.compile(r"uri:[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]{1,480}|dns:[a-z0-9*][a-z0-9.*-]{0,252}")
_SIGNING_IDENTITY = re.compile(
    r"uri:[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]{1,480}|dns:[a-z0-9*][a-z0-9.*-]{0,252}|email:[\x21-\x7e]{1,64}@[\x21-\x7e]{1,255}"
)
_DIGEST = re.compile(r"[a-z][a-z0-9._+-]{0,31}:[0-9a-f]{1,256}")
ID_GRAMMAR = "1 to 63 of a-z 0-9 . _ -, beginning and ending with a letter or digit"
POINTER_GRAMMAR = "1 to 63 of a-z 0-9 . _ -, beginning with a letter and ending with a letter or digit"
MAX_URI = 2048
MAX_MEDIA_TYPE = 127


def line(max_chars: int) -> Rule:
    """Text of one line, without control characters."""
    return _text(max_chars, _CONTROL)


def lines(max_chars: int) -> Rule:
    """Text that may have newlines, carriage returns and tabs; no other control characters."""
    return _text(max_chars, _CONTROL_BUT_LINES)


def _text(max_chars: int, refused: re.Pattern[str]) -> Rule:
    def rule(value: str) -> str:
        if len(value) > max_chars:
            return f"is {len(value)} characters long; the limit is {max_chars}"
        if not value.isprintable():
            found = refused.search(value)
            if found:
                return f"has the control character U+{ord(found[0]):04X} at position {found.start()}"
        return ""

    return rule


def run_id(value: str) -> str:
    """Id of a run."""
    return "" if is_run_id(value) else "must be 1 to 128 of A-Z a-z 0-9 . _ -, beginning and ending with none of . _ -"


def resource_id(value: str) -> str:
    """Id of a project or model."""
    return "" if is_id(value) else f"must be {ID_GRAMMAR}"


def pointer_id(value: str) -> str:
    """Id of a stage or alias, also `latest`."""
    return "" if is_pointer_id(value) else f"must be {POINTER_GRAMMAR}"


def settable_pointer_id(value: str) -> str:
    """Id of a stage or alias that a caller may define."""
    if value == LATEST:
        return f"{LATEST!r} is reserved: it always is the newest READY version"
    return pointer_id(value)


def pointer_id_or_any(value: str) -> str:
    """Id of a stage, or `*`."""
    return "" if value == "*" else pointer_id(value)


def language(value: str) -> str:
    """A language tag, as far as BCP 47 can be told without its registry."""
    return "" if _LANGUAGE.fullmatch(value) else "must be a language tag of BCP 47 such as en or pt-BR"


def uuid(value: str) -> str:
    """A UUID of any version, in either case."""
    if _UUID.fullmatch(value):
        return ""
    return "must be a UUID such as 3f2b8c1e-5a44-4c2e-9d0b-7a1c2e3d4f50"


def etag(value: str) -> str:
    """An etag as it was read; `*` would mean any, which is what leaving it empty means."""
    if value == "*":
        return "'*' is not an etag; leave it empty for any"
    return "" if _ETAG.fullmatch(value) else "must be at most 128 visible ASCII characters"


def sha256(value: str) -> str:
    """Hex digest."""
    return "" if is_sha256(value) else "must be 64 lowercase hexadecimal characters"


def manifest_digest(value: str) -> str:
    """`sha256:` and hex."""
    if is_manifest_digest(value):
        return ""
    return "must be 'sha256:' and 64 lowercase hexadecimal characters"


def any_digest(value: str) -> str:
    """Digest of something outside, by whatever algorithm."""
    if _DIGEST.fullmatch(value):
        return ""
    return "must be an algorithm, ':' and lowercase hexadecimal digits, e.g. sha256:9f86…"


def uri_label(value: str) -> str:
    """A URI, or a label that looks like a relative path. Kept as text; nothing here or elsewhere opens it."""
    if len(value) > MAX_URI:
        return f"is {len(value)} characters long; the limit is {MAX_URI}"
    if _URI.fullmatch(value):
        return ""
    if "\\" in value or _CONTROL.search(value):
        return "is no URI: it has a backslash or control character"
    if _SCHEME.match(value) and "://" in value:
        return "is no URI: escape what RFC 3986 does not allow with %XX"
    return ""


def media_type(value: str) -> str:
    """`type/subtype`, perhaps with parameters."""
    if len(value) <= MAX_MEDIA_TYPE and _MEDIA_TYPE.fullmatch(value):
        return ""
    return "must be a media type such as application/octet-stream, at most 127 characters"


def scope(value: str) -> str:
    """Name of a project or model; empty for the registry."""
    return _named(value, Scope.parse, Scope.FORM)


def project_or_registry(value: str) -> str:
    """Name of a project; empty for the registry."""
    return _named(value, lambda text: text and ProjectName.parse(text), f"[{ProjectName.FORM}]")


def project_or_all(value: str) -> str:
    """Name of a project, or `projects/-`."""
    return "" if value == "projects/-" else _named(value, ProjectName.parse, f"{ProjectName.FORM} or projects/-")


def in_a_project(value: str) -> str:
    """Name of a project or of something in it; empty for the registry."""
    return "" if _IN_PROJECT.fullmatch(value) else "must be the name of a project or of a resource in one, or empty"


def _named(value: str, parse: Callable[[str], object], form: str) -> str:
    try:
        parse(value)
    except RegistryError:
        return f"must have the form {form}"
    return ""


def model_or_version(value: str) -> str:
    """Name of a model or of a version."""
    if not _named(value, ModelName.parse, ModelName.FORM):
        return ""
    return _named(value, VersionName.parse, f"{ModelName.FORM}[/versions/{{number}}]")


def project_or_model(value: str) -> str:
    """Name of a project or of a model."""
    return "must have the form projects/{project}[/models/{model}]" if not value else scope(value)


def id_pattern(value: str) -> str:
    """Ids of models, with `*` and `?`."""
    return "" if _ID_PATTERN.fullmatch(value) else "must be 1 to 63 of a-z 0-9 . _ - * ?"


def role(value: str) -> str:
    """Name of a role."""
    return _named(value, RoleName.parse, RoleName.FORM)


def trusted_signer(value: str) -> str:
    """Name of a trusted signer."""
    return _named(value, TrustedSignerName.parse, TrustedSignerName.FORM)


def permission(value: str) -> str:
    """E.g. `versions.create`."""
    return "" if _PERMISSION.fullmatch(value) else "must be a permission such as versions.create"


def member(value: str) -> str:
    """Member of a binding."""
    if is_member(value):
        return ""
    return (
        "must be user:{name}, user:{issuer}/{name}, group:{issuer}/{name}, serviceAccount:{id}, "
        "serviceAccount:{project}/{id} or authenticated"
    )


def principal(value: str) -> str:
    """A caller."""
    return "" if is_principal(value) else "must be user:{name}, serviceAccount:{id} or serviceAccount:{project}/{id}"


def certificate_name(value: str) -> str:
    """A subject alternative name."""
    return "" if _CERTIFICATE_NAME.fullmatch(value) else "must be uri:{URI} or dns:{name}, at most 512 characters"


def signing_identity(value: str) -> str:
    """A subject alternative name of a signing certificate."""
    if _SIGNING_IDENTITY.fullmatch(value):
        return ""
    return "must be uri:{URI}, dns:{name} or email:{address}, as the certificate has it"


def file_path(value: str) -> str:
    """Path of a file in a version."""
    try:
        check_path(value)
    except RegistryError as error:
        return error.violations[0].description
    return ""
