"""Logins at an OpenID Connect issuer: the device flow, and new tokens when the old ones end.

Source: RFC 8628 (device flow), RFC 6749 §6 (refresh), RFC 7009 (revocation), OpenID Connect Discovery.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry_grpc.client.contexts import OidcLogin
from registry_grpc.client.errors import RegistryError, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TIMEOUT_S = 15.0
MAX_BYTES = 1 << 20
DEFAULT_SCOPE = "openid offline_access"
_DISCOVERY = "/.well-known/openid-configuration"
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_INTERVAL_S = 5.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_EARLY_S = 30.0
_BAD_REQUEST = 400
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a person is asked to do."""

    user_code: str
    verification_uri: str
    complete_uri: str
    """The same with the code in it; empty when the issuer gives none."""
    expires_in_s: float


class RefusedError(Unauthenticated):
    """The issuer said no."""

    def __init__(self, message: str, error: str) -> None:
        """`error` is the OAuth error code."""
        super().__init__(message)
        self.error = error


def device_login(
    issuer: str,
    client_id: str,
    show: Callable[[DeviceCode], None],
    *,
    scope: str = DEFAULT_SCOPE,
    resource: str = "",
    ca_file: str = "",
    sleep: Callable[[float], None] = time.sleep,
) -> OidcLogin:
    """The login, once somebody has approved the code that `show` is given. `resource` is that of RFC 8707.

    Raises: Unauthenticated when it is refused or nobody comes; Unavailable.
    """
    login = OidcLogin(issuer=issuer, client_id=client_id, ca_file=ca_file)
    facts = _discovered(login)
    if "device_authorization_endpoint" not in facts:
        raise Unauthenticated(f"{issuer} offers no device flow; log in with a token instead")
    form = {"client_id": client_id, "scope": scope} | ({"resource": resource} if resource else {})
    code = _post(login, facts["device_authorization_endpoint"], form)
    lasts_s, interval_s = float(code.get("expires_in", 600)), float(code.get("interval", _INTERVAL_S))
    end = time.monotonic() + lasts_s
    uri = str(code.get("verification_uri") or code.get("verification_url") or "")
    if not {"device_code", "user_code"} <= set(code):
        raise Unauthenticated(f"{issuer} gave no code; log in with a token instead")
    show(DeviceCode(str(code["user_code"]), uri, str(code.get("verification_uri_complete", "")), lasts_s))
    form = {"grant_type": _DEVICE_GRANT, "device_code": str(code["device_code"]), "client_id": client_id}
    form |= {"resource": resource} if resource else {}
    while time.monotonic() < end:
        sleep(interval_s)
        try:
            return _renewed(login, _post(login, facts["token_endpoint"], form))
        except RefusedError as refusal:
            if refusal.error == "slow_down":
                interval_s += _INTERVAL_S
            elif refusal.error != "authorization_pending":
                raise
        except Unavailable:
            # RFC 8628 §3.5: a poll that was lost is repeated, less often.
            interval_s *= 2
    raise Unauthenticated(f"nobody approved the code within {lasts_s:.0f} s; log in again")


def refreshed(login: OidcLogin) -> OidcLogin:
    """The login with a new token.

    Raises: Unauthenticated when the issuer wants a new login; Unavailable.
    """
    if not login.refresh_token:
        raise Unauthenticated(f"the login at {login.issuer} ended; `mreg login` again")
    form = {"grant_type": "refresh_token", "refresh_token": login.refresh_token, "client_id": login.client_id}
    try:
        return _renewed(login, _post(login, _discovered(login)["token_endpoint"], form))
    except RefusedError as refusal:
        raise Unauthenticated(f"{refusal.message}; `mreg login` again") from None


def revoke(login: OidcLogin) -> bool:
    """Whether the issuer was told that the login is over. One that cannot be told changes nothing here."""
    with contextlib.suppress(RegistryError):
        endpoint = _discovered(login).get("revocation_endpoint")
        if endpoint and login.refresh_token:
            form = {"token": login.refresh_token, "token_type_hint": "refresh_token", "client_id": login.client_id}
            _post(login, endpoint, form)
            return True
    return False


def _renewed(login: OidcLogin, answer: Mapping[str, Any]) -> OidcLogin:
    """The login with what the token endpoint gave: the access token when it is a JWT, else the id token."""
    offered = [str(answer.get(name, "")) for name in ("access_token", "id_token")]
    token = next((each for each in offered if _end_of(each) is not None), "")
    if not token:
        raise Unauthenticated(
            f"{login.issuer} gave no JWT, which is what a registry can prove; ask for the scope openid, or a --resource"
        )
    now = time.time()
    end = _end_of(token) or now
    early_s = min(_EARLY_S, max(0.0, end - now) / 4)
    return replace(
        login,
        token=token,
        expires=end,
        refresh_at=end - early_s,
        refresh_token=str(answer.get("refresh_token") or login.refresh_token),
    )


def _end_of(token: str) -> float | None:
    """When a JWT ends, as it says itself; None for what is none. Proving it is the registry's business."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 -- header, claims, signature
        return None
    try:
        return float(json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))["exp"])
    except (ValueError, KeyError, TypeError):
        return None


def _discovered(login: OidcLogin) -> dict[str, str]:
    """The issuer's endpoints.

    Raises: Unauthenticated when it is another issuer; Unavailable.
    """
    facts = _ask(login, login.issuer.rstrip("/") + _DISCOVERY, None)
    if facts.get("issuer") != login.issuer:
        raise Unauthenticated(f"the issuer calls itself {facts.get('issuer')!r}; give --issuer exactly so")
    if "token_endpoint" not in facts:
        raise Unauthenticated(f"{login.issuer} names no token endpoint")
    return {name: value for name, value in facts.items() if isinstance(value, str)}


def _post(login: OidcLogin, url: str, form: Mapping[str, str]) -> dict[str, Any]:
    return _ask(login, url, urllib.parse.urlencode(form).encode())


def _ask(login: OidcLogin, url: str, data: bytes | None) -> dict[str, Any]:
    """The JSON object at `url`; an empty answer is an empty one.

    Raises: RefusedError, Unavailable.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise Unauthenticated(f"{url}: secrets go over https only")
    request = urllib.request.Request(url, data, {"accept": "application/json"})  # noqa: S310 -- looked at above
    context = ssl.create_default_context(cafile=login.ca_file or None)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _NoRedirect())
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return _object(answer.read(MAX_BYTES), url)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(error, url) from None
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"{url} does not answer: {error}") from None


def _refusal(error: urllib.error.HTTPError, url: str) -> RegistryError:
    if error.code >= _SERVER_ERROR:
        return Unavailable(f"{url} answers with status {error.code}; try again later")
    try:
        told = _object(error.read(MAX_BYTES), url)
    except RegistryError:
        told = {}
    code = str(told.get("error", f"status {error.code}"))
    text = str(told.get("error_description", ""))
    said = f"{url} refuses: {code}{f' ({text})' if text else ''}"
    # Whatever the issuer says, it must not drive the terminal.
    return RefusedError("".join(char if char.isprintable() else " " for char in said)[:500], code)


def _object(data: bytes, url: str) -> dict[str, Any]:
    try:
        found = json.loads(data or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unavailable(f"{url} answers with something else than a JSON object")
    return found


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is sent holds secrets, and stays where it was sent."""

    def redirect_request(self, *_: object) -> None:
        """No request at all: the answer is an error then."""
