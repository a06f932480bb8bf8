"""Where in an object the pinned version goes: field paths, and the object that server-side apply is sent.

What is sent names the fields of ours and nothing else; everything else of the object stays whose it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import Any

from registry_grpc.controller.pins import Pin

_STEP = re.compile(
    r"\.?(?P<field>[A-Za-z_][A-Za-z0-9_-]*)|\[(?P<key>[A-Za-z]+)=(?P<value>[^\]]+)\]|\['(?P<quoted>[^']+)'\]"
)
_VARIABLES = frozenset({"uri", "version", "digest", "model"})
ANNOTATION = "serving.registrygrpc.dev/"


class PatchError(Exception):
    """A field path or a value that cannot be used."""


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a list, by the field that tells elements apart."""

    key: str
    value: str


Step = str | Element
"""The name of a field, or an element of a list."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A value with variables, and where it goes."""

    path: tuple[Step, ...]
    value: str


def parse_path(text: str) -> tuple[Step, ...]:
    """The steps of `spec.template.spec.containers[name=server].env[name=MODEL].value` or `metadata.annotations['a/b']`.

    Raises: PatchError.
    """
    steps: list[Step] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise PatchError(
                f"fieldPath {text!r} is no path from {text[at:]!r} on; write names with dots between, [name=server] "
                "for an element of a list and ['a/b'] for a name with other characters"
            )
        steps.append(Element(match["key"], match["value"]) if match["key"] else match["field"] or match["quoted"])
        at = match.end()
    if not steps or isinstance(steps[0], Element):
        raise PatchError(f"fieldPath {text!r} does not begin with the name of a field")
    if isinstance(steps[-1], Element):
        raise PatchError(f"fieldPath {text!r} ends at a list element; name the field in it, e.g. {text}.value")
    described = steps[0] == "metadata" and len(steps) > 1 and steps[1] in {"annotations", "labels"}
    if steps[0] in {"apiVersion", "kind", "status"} or (steps[0] == "metadata" and not described):
        raise PatchError(
            f"fieldPath {text!r} is not the controller's to write; name a field of spec, an annotation or a label"
        )
    return tuple(steps)


def default_patches(kind: str) -> tuple[Patch, ...]:
    """What is written when no patches are given.

    For a Deployment or StatefulSet annotations of the pod template: a change of them rolls the pods, which read them by
    `fieldRef`; no list of the template then becomes ours. For an InferenceService its storageUri.
    """
    if kind == "InferenceService":
        return (Patch(("spec", "predictor", "model", "storageUri"), "${uri}"),)
    if kind not in {"Deployment", "StatefulSet"}:
        return ()
    place = ("spec", "template", "metadata", "annotations")
    return tuple(Patch((*place, ANNOTATION + name), f"${{{name}}}") for name in sorted(_VARIABLES))


def patched(patches: Sequence[Patch], pin: Pin) -> dict[str, Any]:
    """An object with these fields and no other.

    Raises: PatchError for a variable that does not exist, or patches that contradict each other.
    """
    made: dict[str, Any] = {}
    for patch in patches:
        _put(made, patch.path, _filled(patch.value, pin.variables()))
    return made


def _filled(value: str, variables: Mapping[str, str]) -> str:
    try:
        return Template(value).substitute(variables)
    except (KeyError, ValueError):
        known = ", ".join(f"${{{name}}}" for name in sorted(_VARIABLES))
        raise PatchError(
            f"value {value!r} has a variable that does not exist; there are {known}, and $$ for $"
        ) from None


def _put(into: dict[str, Any], path: tuple[Step, ...], value: str) -> None:
    here: Any = into
    for at, step in enumerate(path):
        last = at == len(path) - 1
        if isinstance(step, Element):
            here = _element(here, step)
        elif last:
            here[step] = value
        else:
            empty: Any = [] if isinstance(path[at + 1], Element) else {}
            here = here.setdefault(step, empty)
            if type(here) is not type(empty):
                raise PatchError(f"two patches take {step!r} for different things, a list and an object")


def _element(among: list[dict[str, Any]], wanted: Element) -> dict[str, Any]:
    for each in among:
        if each.get(wanted.key) == wanted.value:
            return each
    made: dict[str, Any] = {wanted.key: wanted.value}
    among.append(made)
    return made
