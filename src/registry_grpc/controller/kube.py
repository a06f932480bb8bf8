"""The Kubernetes API, as much of it as a controller needs: get, list, watch, create, replace, merge, apply.

Objects are what JSON makes of them. One instance serves any number of threads.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from registry_grpc.controller.kubeconfig import Access

Object = dict[str, Any]
CALL_TIMEOUT_S = 10.0
WATCH_S = 50
"""A watch ends after that, and is taken up where it stood: a connection that died unnoticed costs no more."""
PAGE = 500
JSON = "application/json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
_GONE = 410


class KubeError(Exception):
    """A call failed. `status` is that of HTTP, 0 when nobody answered; `reason` is Kubernetes' word for it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message

    @property
    def is_expired(self) -> bool:
        """The place in the log that was asked for is gone: list again."""
        return self.status == _GONE


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind and where its objects are."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """The path of one object, or of all; of all namespaces with None."""
        root = "/apis/" if "/" in self.api_version else "/api/"
        within = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return (
            root + self.api_version + within + "".join(f"/{each}" for each in (self.plural, name, subresource) if each)
        )


class Kube:
    """A cluster. Every method raises KubeError."""

    def __init__(self, access: Access, timeout_s: float = CALL_TIMEOUT_S) -> None:
        """`timeout_s` is for a call to connect, and again for its answer."""
        self._access = access
        self._timeout = Timeout(connect=timeout_s, read=timeout_s)
        self._pool = urllib3.PoolManager(
            maxsize=32,
            retries=False,
            ca_certs=str(access.ca_file) if access.ca_file and not access.ca_data else None,
            ca_cert_data=access.ca_data or None,
            cert_file=str(access.client_cert) if access.client_cert else None,
            key_file=str(access.client_key) if access.client_key else None,
        )
        self._known: dict[tuple[str, str], Resource] = {}
        self._lock = threading.Lock()

    def resource(self, api_version: str, kind: str) -> Resource:
        """Where objects of a kind are; asked once.

        Raises: KubeError, 404 when the cluster does not know the kind.
        """
        with self._lock:
            known = self._known.get((api_version, kind))
        if known is not None:
            return known
        root = "/apis/" if "/" in api_version else "/api/"
        for each in self._call("GET", root + api_version)["resources"]:
            if each["kind"] == kind and "/" not in each["name"]:
                found = Resource(api_version, kind, each["name"], each["namespaced"])
                with self._lock:
                    self._known[api_version, kind] = found
                return found
        raise KubeError(404, "NotFound", f"the cluster has no kind {kind} in {api_version}")

    def get(self, of: Resource, namespace: str, name: str) -> Object:
        """One object."""
        return self._call("GET", of.path(namespace, name))

    def list(self, of: Resource, namespace: str | None) -> tuple[list[Object], str]:
        """All objects, and the place in the log from which a watch goes on."""
        items: list[Object] = []
        token = ""
        while True:
            query = {"limit": str(PAGE)} | ({"continue": token} if token else {})
            page = self._call("GET", of.path(namespace), query=query)
            items += page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return items, page["metadata"]["resourceVersion"]

    def create(self, of: Resource, namespace: str, body: Object) -> Object:
        """The new object."""
        return self._call("POST", of.path(namespace), body=body)

    def replace(self, of: Resource, namespace: str, body: Object) -> Object:
        """The object, now as given; its resourceVersion must be the present one."""
        return self._call("PUT", of.path(namespace, body["metadata"]["name"]), body=body)

    def merge(self, of: Resource, namespace: str, name: str, body: Object, subresource: str = "") -> Object:
        """The object with these fields changed; null takes one away."""
        return self._call("PATCH", of.path(namespace, name, subresource), body=body, content=MERGE)

    def apply(self, of: Resource, namespace: str, body: Object, *, manager: str, force: bool = False) -> Object:
        """The object with these fields, which are the manager's from now on.

        Raises: KubeError with 409 when one of them is somebody else's, unless `force`.
        """
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        path = of.path(namespace, body["metadata"]["name"])
        return self._call("PATCH", path, body=body, content=APPLY, query=query)

    def watch(self, of: Resource, namespace: str | None, since: str) -> Iterator[tuple[str, Object]]:
        """Changes from that place on, until the server ends it after a while: `ADDED`, `BOOKMARK`, … and the object."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": since,
            "timeoutSeconds": str(WATCH_S),
        }
        url = f"{self._access.server}{of.path(namespace)}?{urlencode(query)}"
        try:
            answer = self._pool.request(
                "GET",
                url,
                headers=self._headers(),
                preload_content=False,
                timeout=Timeout(connect=5, read=WATCH_S + 10),
            )
            try:
                if answer.status != 200:  # noqa: PLR2004 -- OK
                    raise _fault(answer.status, answer.data)
                for line in _lines(answer):
                    change = json.loads(line)
                    if change["type"] == "ERROR":
                        raise _fault(change["object"].get("code", 0), line, change["object"])
                    yield change["type"], change["object"]
            finally:
                answer.close()
        except (HTTPError, OSError) as error:
            raise KubeError(0, "Unreachable", f"{self._access.server}: {error}") from error

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Object | None = None,
        content: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> Object:
        url = self._access.server + path + (f"?{urlencode(query)}" if query else "")
        try:
            answer = self._pool.request(
                method,
                url,
                body=json.dumps(body) if body is not None else None,
                headers=self._headers() | ({"Content-Type": content} if body is not None else {}),
                timeout=self._timeout,
            )
        except (HTTPError, OSError) as error:
            raise KubeError(0, "Unreachable", f"{self._access.server}: {error}") from error
        if answer.status >= 300:  # noqa: PLR2004 -- anything but success
            raise _fault(answer.status, answer.data)
        result: Object = json.loads(answer.data)
        return result

    def _headers(self) -> dict[str, str]:
        token = self._access.token()
        return {"Accept": JSON} | ({"Authorization": f"Bearer {token}"} if token else {})


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for chunk in answer.stream(1 << 16):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line)


def _fault(status: int, data: bytes, told: Object | None = None) -> KubeError:
    try:
        said = told or json.loads(data)
        return KubeError(status, said.get("reason") or "", said.get("message") or "")
    except (ValueError, AttributeError):
        return KubeError(status, "", data[:500].decode(errors="replace"))
