"""Statements of searches, kept for when the same is asked again, or the next page of it.

Making one out of a question, and telling SQLAlchemy which of those that it compiled before it is, takes 1 to 1.5 ms;
PostgreSQL answers most in half of that.
"""

from __future__ import annotations

from functools import lru_cache, wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from registry_grpc.domain.filters.conditions import Condition
from registry_grpc.domain.filters.tree import And, Not, Or
from registry_grpc.domain.search import Search

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")
MOST = 128
"""Of each kind: those used last."""
MAX_WEIGHT = 24
"""Of a question that is kept, or a few of them would take what memory there is: see `_weight`."""
_CHARS_A_WEIGHT = 50


def kept(make: Callable[P, T]) -> Callable[P, T]:
    """`make`, whose results are kept by what it was called with, as long as the questions are small.

    What is made must depend on the arguments alone, and nobody may change it. Safe to use by several threads.
    """
    remembered = lru_cache(MOST)(make)

    @wraps(make)
    def found(*args: P.args, **kwargs: P.kwargs) -> T:
        if sum(_weight(each) for each in args) > MAX_WEIGHT:
            return make(*args, **kwargs)
        return remembered(*args, **kwargs)  # type: ignore[arg-type] # mypy cannot tell that they have a hash

    return found


def _weight(part: object) -> int:
    """Conditions, projects and models that a part of a question has; long texts count as several."""
    if isinstance(part, Search):
        return len(part.visible.projects) + len(part.visible.models) + _weight(part.conditions)
    if isinstance(part, And | Or):
        return sum(_weight(each) for each in part.parts)
    if isinstance(part, Not):
        return _weight(part.part)
    if isinstance(part, Condition):
        return 1 + (len(part.operand) // _CHARS_A_WEIGHT if isinstance(part.operand, str) else 0)
    return 0
