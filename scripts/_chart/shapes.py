"""JSON schema (draft-07) in few words. Every object refuses what it does not know."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
PASSED_ON = "as Kubernetes has it"
"""The comment on what the chart passes on without reading it: the API server judges that."""
NAME = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"
KEY = r"^[-._a-zA-Z0-9]+$"
QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$"


def _said(meaning: str) -> Schema:
    return {"description": meaning} if meaning else {}


def group(meaning: str, **parts: Schema) -> Schema:
    """An object of these parts and no others."""
    return _said(meaning) | {"type": "object", "additionalProperties": False, "properties": parts}


def text(meaning: str, *, pattern: str = "", choices: tuple[str, ...] = ()) -> Schema:
    """A text, of this form or one of these."""
    found: Schema = _said(meaning) | {"type": "string"}
    return found | ({"pattern": pattern} if pattern else {}) | ({"enum": list(choices)} if choices else {})


def name(meaning: str) -> Schema:
    """The name of an object of Kubernetes, or nothing."""
    return text(meaning, pattern=NAME) | {"maxLength": 253}


def key(meaning: str) -> Schema:
    """A key within a secret."""
    return text(meaning, pattern=KEY)


def number(meaning: str, least: int = 0, most: int | None = None) -> Schema:
    """A whole number."""
    found: Schema = {"description": meaning, "type": "integer", "minimum": least}
    return found if most is None else found | {"maximum": most}


def port(meaning: str) -> Schema:
    """A port that needs no root."""
    return number(meaning, 1024, 65535)


def flag(meaning: str) -> Schema:
    """True or false."""
    return _said(meaning) | {"type": "boolean"}


def listed(meaning: str, of: Schema) -> Schema:
    """A list."""
    return _said(meaning) | {"type": "array", "items": of}


def texts(meaning: str) -> Schema:
    """Names to texts, as labels are."""
    return _said(meaning) | {"type": "object", "additionalProperties": {"type": "string"}}


def passed_on(meaning: str = "") -> Schema:
    """An object the chart does not look into."""
    return _said(meaning) | {"type": "object", "$comment": PASSED_ON}


def resources(meaning: str) -> Schema:
    """Requests and limits of a container."""
    amount = {"type": ["string", "number"], "pattern": QUANTITY}
    amounts = {"type": "object", "additionalProperties": amount}
    return group(meaning, requests=amounts, limits=amounts)


def selector() -> Schema:
    """A label selector."""
    expression = group("", key={"type": "string"}, operator={"type": "string"}, values=listed("", {"type": "string"}))
    return group("", matchLabels=texts(""), matchExpressions=listed("", expression))


def peers(meaning: str) -> Schema:
    """Whom a network policy lets through; none for everybody."""
    block = group("", cidr={"type": "string"}, **{"except": listed("", {"type": "string"})})
    return listed(meaning, group("", podSelector=selector(), namespaceSelector=selector(), ipBlock=block))


def ports(meaning: str) -> Schema:
    """Ports of others."""
    return listed(meaning, {"type": "integer", "minimum": 1, "maximum": 65535})
