"""Options several commands have, and how their texts become values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

import typer

Tag = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="Searchable tag; repeatable.")]
Etag = Annotated[str, typer.Option("--etag", help="Refuse unless this is the present etag.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the history.")]
Expect = Annotated[
    int | None, typer.Option("--expect", metavar="N", help="Refuse unless version N holds it now; 0 for nobody.")
]
Description = Annotated[str | None, typer.Option("--description", help="What it is.")]
DisplayName = Annotated[str | None, typer.Option("--display-name", help="Free name for people.")]
Owner = Annotated[str | None, typer.Option("--owner", help="Person or team that answers for it.")]
Deleted = Annotated[bool, typer.Option("--deleted", help="Also show deleted ones.")]


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """`["a=1"]` as `{"a": "1"}`.

    Raises: typer.BadParameter.
    """
    made: dict[str, str] = {}
    for text in texts or ():
        key, separator, value = text.partition("=")
        if not key or not separator:
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint=option)
        made[key] = value
    return made


def numbers(texts: list[str] | None, option: str) -> dict[str, float]:
    """`["auc=0.93"]` as `{"auc": 0.93}`.

    Raises: typer.BadParameter.
    """
    made: dict[str, float] = {}
    for key, value in pairs(texts, option).items():
        try:
            made[key] = float(value)
        except ValueError as error:
            raise typer.BadParameter(f"{key}={value}: {value!r} is no number", param_hint=option) from error
    return made


def typed(texts: list[str] | None, option: str) -> dict[str, bool | int | float | str]:
    """`["depth=3", "lr=0.1", "warm=true"]` with the types the values look like; quotes keep a text: `k="3"`.

    Raises: typer.BadParameter.
    """
    return {key: _typed(value) for key, value in pairs(texts, option).items()}


def _typed(text: str) -> bool | int | float | str:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    for kind in (int, float):
        try:
            return kind(text) if not quoted and "_" not in text else text[1:-1] if quoted else text
        except ValueError:
            continue
    return text


def retagged(before: Mapping[str, str], added: Mapping[str, str], removed: Iterable[str] | None) -> dict[str, str]:
    """Tags after a change.

    Raises: typer.BadParameter when one to remove is not there.
    """
    after = {**before, **added}
    for key in removed or ():
        if key not in before:
            raise typer.BadParameter(f"there is no tag {key!r} to remove; there are {', '.join(before) or 'none'}")
        after.pop(key)
    return after


_SIZES = {"": 1, "b": 1} | {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("kmgtp", 1)
    for suffix, base in (("", 1024), ("ib", 1024), ("b", 1000))
}
_PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def byte_size(text: str) -> int:
    """`500GiB` (also `500G`) or `500GB` in bytes.

    Raises: typer.BadParameter.
    """
    number, unit = _measured(text)
    if unit.lower() not in _SIZES:
        raise typer.BadParameter(f"{text!r} is no size; write a number with KiB, MiB, GiB or TiB")
    return int(number * _SIZES[unit.lower()])


def period(text: str) -> timedelta:
    """`30d`, `12h`, `15m` or `90s`.

    Raises: typer.BadParameter.
    """
    number, unit = _measured(text)
    if unit not in _PERIODS and number:
        raise typer.BadParameter(f"{text!r} is no time; write a number with s, m, h or d")
    return timedelta(seconds=float(number * _PERIODS.get(unit, 1)))


def _measured(text: str) -> tuple[Decimal, str]:
    found = re.fullmatch(r"(\d{1,18}(?:\.\d{1,6})?)\s*([A-Za-z]*)", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no number with a unit")
    return Decimal(found[1]), found[2]
