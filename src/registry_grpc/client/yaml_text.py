"""YAML that somebody else wrote: read as texts, lists and mappings, and refused when it is built to hurt.

Every scalar stays the text that it is: the language `no` is not false, and version 1.10 is not 1.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_grpc.client.errors import InvalidArgument

if TYPE_CHECKING:
    from types import ModuleType

MAX_CHARS = 1 << 20
MAX_NODES = 50_000
MAX_DEPTH = 50


def load_yaml(text: str, where: str) -> Any:  # noqa: ANN401 -- whatever the document is
    """The first document of `text`: texts, lists and mappings; None for nothing.

    Raises: InvalidArgument for what is no YAML, has aliases (one text could stand for gigabytes of others), is nested
        deeper than 50, or is larger than 1 MiB or 50,000 nodes.
    """
    yaml = yaml_module()
    if len(text) > MAX_CHARS:
        raise InvalidArgument(f"{where} has {len(text)} characters of YAML; the limit is {MAX_CHARS}")
    try:
        _check(yaml, text, where)
        # BaseLoader makes nothing but texts, lists and mappings, as safe_load does, without guessing types.
        return yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise InvalidArgument(f"{where} is no YAML: {' '.join(str(error).split())}") from error


def _check(yaml: ModuleType, text: str, where: str) -> None:
    """Refuse before anything is built: events come one by one, and nothing recurses."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.BaseLoader)):
        if isinstance(event, yaml.AliasEvent):
            raise InvalidArgument(f"{where} has the YAML alias *{event.anchor}; write out what it stands for")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise InvalidArgument(f"{where} is nested deeper than {MAX_DEPTH} or has more than {MAX_NODES} nodes")


def yaml_module() -> ModuleType:
    """PyYAML, which the SDK alone does not bring along.

    Raises: InvalidArgument.
    """
    try:
        import yaml  # noqa: PLC0415 -- only who reads or writes YAML needs it
    except ImportError as error:
        raise InvalidArgument("this needs PyYAML: pip install 'registry-grpc[cli]'") from error
    return yaml
