"""Free text: the words of what is searched, and of what is asked. Case is folded; marks between letters part words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry_grpc.domain.resources import Model, Version

MAX_QUERY_CHARS = 512
MAX_QUERY_WORDS = 16
MAX_CARD_CHARS = 100_000
"""Of a longer card only the beginning is searched."""
_MAX_WORD_CHARS = 64
_AROUND = 60
_WORD = re.compile(r"[^\W_]+")


class Words(NamedTuple):
    """Words of one thing, by how much they say of it; each once, sorted, with spaces between."""

    head: str
    """Names, labels, tags and whoever answers for it."""
    body: str
    """Its description."""
    card: str
    """Its card."""


def words_of(*texts: str) -> list[str]:
    """The words of texts, each once, sorted; of longer ones the first 64 letters."""
    return sorted({word[:_MAX_WORD_CHARS] for text in texts for word in _WORD.findall(text.casefold())})


def version_words(version: Version) -> Words:
    """What a version can be found by."""
    metadata = version.metadata
    framework = metadata.framework.name if metadata.framework else ""
    named = (
        version.name.model,
        version.version_label,
        version.owner,
        metadata.algorithm,
        metadata.task,
        metadata.domain,
    )
    return Words(
        _joined(*named, framework, *_of_tags(version.tags.items())),
        _joined(version.description),
        _joined(card_text(version)[:MAX_CARD_CHARS]),
    )


def card_text(version: Version) -> str:
    """What the card says, in parts and as a whole."""
    card = version.card
    if card is None:
        return version.model_card
    parts = (card.intended_use, card.limitations, card.ethical_considerations, card.training_data, card.evaluation)
    return "\n".join((*filter(None, parts), *card.contacts, version.model_card))


def model_words(model: Model) -> Words:
    """What a model can be found by."""
    named = (model.name.model, model.display_name, model.owner)
    return Words(_joined(*named, *_of_tags(model.tags.items())), _joined(model.description), "")


def _of_tags(tags: Iterable[tuple[str, str]]) -> list[str]:
    return [text for pair in tags for text in pair]


def _joined(*texts: str) -> str:
    return " ".join(words_of(*texts))


def snippet(words: tuple[str, ...], *texts: str) -> str:
    """The text around the first of `words` that is found in one of `texts`, on one line; empty without any."""
    for text in texts if words else ():
        for match in _WORD.finditer(text):
            if match[0].casefold().startswith(words):
                begin, end = max(0, match.start() - _AROUND), min(len(text), match.end() + _AROUND)
                shown = " ".join(text[begin:end].split())
                return f"{'…' if begin else ''}{shown}{'…' if end < len(text) else ''}"
    return ""
