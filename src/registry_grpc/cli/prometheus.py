"""Questions to a Prometheus, by its HTTP interface."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class PrometheusError(Exception):
    """It did not answer, or not as a Prometheus does; the text says what to look at."""


@dataclass(frozen=True, slots=True)
class Value:
    """One series at this moment."""

    labels: Mapping[str, str]
    number: float
    """May be NaN."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """The server at `url`, which may have a path."""

    url: str
    timeout_s: float

    def __post_init__(self) -> None:
        """Refuse what is no web address.

        Raises: PrometheusError.
        """
        if (
            urllib.parse.urlsplit(self.url).scheme not in {"http", "https"}
            or not urllib.parse.urlsplit(self.url).netloc
        ):
            raise PrometheusError(f"{self.url!r} is no address of a Prometheus; give http://host:9090 or https://…")

    def query(self, expression: str) -> Sequence[Value]:
        """What the expression is at this moment.

        Raises: PrometheusError.
        """
        address = f"{self.url.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        try:
            with urllib.request.urlopen(address, timeout=self.timeout_s) as answer:  # noqa: S310 - http and https only
                document = json.load(answer)
            return [_value(each) for each in document["data"]["result"]]
        except urllib.error.HTTPError as error:
            raise PrometheusError(f"{self.url} answered {error.code} {error.reason}; is it a Prometheus?") from error
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise PrometheusError(f"{self.url} does not answer: {reason}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise PrometheusError(f"{self.url} does not answer as a Prometheus does; is the path right?") from error


def _value(result: Mapping[str, Any]) -> Value:
    _, number = result["value"]
    return Value(result["metric"], float(number))
