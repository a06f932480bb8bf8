"""Model cards as files: Markdown with the front matter of Hugging Face, out and in.

What is read is text and stays text: nothing of it is run, rendered or fetched, and YAML goes through `yaml_text`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry_grpc.client.errors import InvalidArgument
from registry_grpc.client.yaml_text import load_yaml, yaml_module
from registry_grpc.v1 import metadata_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry_grpc.v1 import versions_pb2

MAX_CHARS = 1 << 20
MAX_HEADING = 200
"""A longer line is no heading, whatever it begins with: nobody waits for it to be matched."""
SECTIONS = {
    "intended_use": "Intended use",
    "limitations": "Limitations",
    "ethical_considerations": "Ethical considerations",
    "training_data": "Training data",
    "evaluation": "Evaluation",
    "citation": "Citation",
}
"""Texts of a card and their headings."""
CONTACTS = "Contacts"
_OTHER_HEADINGS = {
    "uses": "intended_use",
    "direct use": "intended_use",
    "intended uses": "intended_use",
    "intended uses & limitations": "intended_use",
    "bias, risks, and limitations": "limitations",
    "bias, risks and limitations": "limitations",
    "ethics": "ethical_considerations",
    "training details": "training_data",
    "evaluation results": "evaluation",
    "model card contact": "contacts",
    "contact": "contacts",
    "contacts": "contacts",
}
"""Of the template of Hugging Face, and as others write them."""
_FIELDS = {heading.lower(): field for field, heading in SECTIONS.items()} | _OTHER_HEADINGS
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"(#{1,2})[ \t]+(.+?)[ \t]*#*[ \t]*")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_BULLET = re.compile(r"[-*+][ \t]+")


@dataclass(frozen=True, slots=True)
class CardFile:
    """What a file says: the card in parts, and the rest of its Markdown."""

    card: metadata_pb2.ModelCard
    markdown: str


def read_card(text: str, where: str = "card") -> CardFile:
    """The card in a Markdown file, perhaps with front matter. Sections with a known heading are the parts of the card.

    A section ends with the next heading of the first or second level. Of the front matter `license` (else
    `license_name`) and `language` are taken.

    Raises: InvalidArgument.
    """
    if len(text) > MAX_CHARS:
        raise InvalidArgument(f"{where} has {len(text)} characters; the limit is {MAX_CHARS}")
    front: Any = {}
    match = _FRONT.match(text)
    if match is not None:
        front = load_yaml(match[1], f"{where}, front matter") or {}
        text = text[match.end() :]
    if not isinstance(front, Mapping):
        raise InvalidArgument(f"{where}: the front matter holds no fields; write field: value")
    card = metadata_pb2.ModelCard(languages=_texts(front.get("language")))
    card.license = next(iter(_texts(front.get("license"))), "")
    if card.license == "other":
        card.license = next(iter(_texts(front.get("license_name"))), card.license)
    rest = []
    for field, heading, body in _sections(text):
        if field == "contacts":
            card.contacts.extend(_BULLET.sub("", line.strip(), count=1) for line in body.splitlines() if line.strip())
        elif field and not getattr(card, field):
            setattr(card, field, body.strip())
        else:
            rest.append(heading + body)
    return CardFile(card, "".join(rest).strip())


def _sections(text: str) -> Iterator[tuple[str, str, str]]:
    """Field (empty for none), heading line and body of each section; headings in code are none."""
    field, heading, body, fence = "", "", [], ""
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if mark is not None and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        found = None if fence or len(line) > MAX_HEADING else _HEADING.fullmatch(line.rstrip("\r\n"))
        if found is None:
            body.append(line)
            continue
        yield field, heading, "".join(body)
        field, heading, body = _FIELDS.get(found[2].lower(), ""), line, []
    yield field, heading, "".join(body)


def _texts(value: object) -> list[str]:
    if value in (None, "", []):
        return []
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def card_markdown(version: versions_pb2.ModelVersion) -> str:
    """The card of a version for people: its Markdown, then the parts under their headings."""
    card = version.card
    parts = [version.model_card.strip()]
    parts += [f"## {heading}\n\n{text}" for name, heading in SECTIONS.items() if (text := getattr(card, name).strip())]
    if card.contacts:
        parts.append(f"## {CONTACTS}\n\n" + "\n".join(f"- {each}" for each in card.contacts))
    return "\n\n".join(part for part in parts if part) + "\n"


def write_card(version: versions_pb2.ModelVersion) -> str:
    """The card of a version as Hugging Face takes it: front matter and Markdown. `read_card` reads it again."""
    yaml = yaml_module()
    front = {name: value for name, value in _front(version).items() if value}
    if not front:
        return card_markdown(version)
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n\n{card_markdown(version)}"


def _front(version: versions_pb2.ModelVersion) -> dict[str, Any]:
    languages = list(version.card.languages)
    parents = [parent.uri or parent.version for parent in version.provenance.parents]
    return {
        "license": version.card.license,
        "language": languages[0] if len(languages) == 1 else languages,
        "library_name": version.framework.name,
        "pipeline_tag": version.task,
        "tags": [f"{key}:{value}" if value else key for key, value in sorted(version.tags.items())],
        "datasets": list(dict.fromkeys(each.name for each in version.provenance.training_data)),
        "base_model": [name.removeprefix("hf:") for name in parents if name],
        "model-index": _results(version),
    }


def _results(version: versions_pb2.ModelVersion) -> list[dict[str, Any]]:
    results: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for metric in version.metrics:
        measured = (metric.dataset, metric.dataset_version, metric.slice)
        results.setdefault(measured, []).append({"type": metric.name, "value": metric.value})
    if not results:
        return []
    # A dictionary of its own for each: PyYAML would write the second time of one as an alias.
    listed = [
        {"task": {"type": version.task or "other"}, "dataset": _dataset(*measured), "metrics": metrics}
        for measured, metrics in results.items()
    ]
    return [{"name": version.name.split("/")[3], "results": listed}]


def _dataset(name: str, version: str, part: str) -> dict[str, str]:
    known = {"name": name or "unknown", "type": name or "unknown", "revision": version, "split": part}
    return {key: value for key, value in known.items() if value}
