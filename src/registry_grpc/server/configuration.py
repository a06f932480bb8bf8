"""Reads settings from flags, environment and file, and reports every fault of all of them at once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from registry_grpc.server.settings import Settings

PREFIX = "MREG_"
CONFIG_VARIABLE = "MREG_CONFIG"
CLIENT_VARIABLES = frozenset(
    f"{PREFIX}{name}"
    for name in ("ENDPOINT", "TOKEN", "TOKEN_FILE", "CA_FILE", "CACHE", "CACHE_DIR", "CONTEXT", "OUTPUT", "PROJECT")
)
"""Known and not ours."""
TEST_PREFIX = "MREG_TEST_"


class SettingsError(Exception):
    """Faults of the configuration, one a line. Never shows a value that may be secret."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def load_settings(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> Settings:
    """The settings in force. `flags` that are None were not given; `config` wins over `MREG_CONFIG`.

    Raises: SettingsError with every fault.
    """
    environ = environ or {}
    faults: list[str] = []
    path = config or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    sources = {
        "flag --{}": {key: value for key, value in (flags or {}).items() if value is not None},
        "environment " + PREFIX + "{}": _from_environment(environ, faults),
        f"{path}: " + "{}": _from_file(path, faults),
    }
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for label, values in sources.items():
        for key, value in values.items():
            if key not in merged:
                merged[key], origin[key] = value, _named(label, key)
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        faults += _faults(error, origin)
        raise SettingsError(faults) from None
    if faults:
        raise SettingsError(faults)
    return settings


def _from_environment(environ: Mapping[str, str], faults: list[str]) -> dict[str, str]:
    found = {}
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or name in CLIENT_VARIABLES or name == CONFIG_VARIABLE:
            continue
        if name.startswith(TEST_PREFIX):
            continue
        key = name.removeprefix(PREFIX).lower()
        if key not in Settings.model_fields:
            faults.append(f"environment {name}: no such setting")
        elif value:
            # Empty is how a shell or a chart says unset.
            found[key] = value
    return found


def _from_file(path: Path | None, faults: list[str]) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        faults.append(f"{path}: {error}")
        return {}


def _named(label: str, key: str) -> str:
    if label.startswith("flag"):
        key = key.replace("_", "-")
    return label.format(key.upper() if label.startswith("env") else key)


def _faults(error: ValidationError, origin: Mapping[str, str]) -> list[str]:
    faults = []
    for each in error.errors(include_input=False, include_context=False, include_url=False):
        key = str(each["loc"][0]) if each["loc"] else ""
        text = each["msg"].removeprefix("Value error, ")
        if each["type"] == "extra_forbidden":
            text = "no such setting"
        # Within a setting that has parts: `[0].audience: Field required`.
        part = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in each["loc"][1:])
        faults += [f"{origin.get(key, key)}{part}: {line}" for line in text.splitlines()] if key else text.splitlines()
    return faults
