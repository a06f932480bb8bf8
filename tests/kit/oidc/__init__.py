"""A real OpenID provider (npm's oidc-provider) in a process of its own, whose keys a test may rotate."""

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

from tests.kit.engines import places

HERE = Path(__file__).resolve().parent
AUDIENCE = "mreg"
CLIENT_ID = "mreg-cli"
_ROBOT = "Basic " + base64.b64encode(b"robot:robot-secret").decode()
_PAGES = 8


def installed() -> Path:
    """The provider's script beside its packages, which are installed once, outside the clone."""
    lock = (HERE / "package-lock.json").read_bytes()
    target = places.cache_directory() / f"oidc-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not target.exists():
        scratch = Path(tempfile.mkdtemp(dir=target.parent))
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / name, scratch / name)
        subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=scratch, check=True, capture_output=True)
        # Renamed into place: two test workers may do this at once, and the second one's copy is as good.
        with contextlib.suppress(OSError):
            scratch.rename(target)
        shutil.rmtree(scratch, ignore_errors=True)
    text = (HERE / "provider.mjs").read_bytes()
    script = target / f"provider-{hashlib.sha256(text).hexdigest()[:12]}.mjs"
    if not script.exists():
        unfinished = target / f"{script.name}.{os.getpid()}"
        unfinished.write_bytes(text)
        unfinished.rename(script)
    return script


@dataclass
class Issuer:
    """One provider."""

    url: str
    process: subprocess.Popen[str]

    def control(self, what: str) -> dict[str, int]:
        """`rotate?keep=1`, `away?is=1`, `counts`: the requests it had so far, by path."""
        with urllib.request.urlopen(f"{self.url}/test/{what}", timeout=10) as answer:
            found: dict[str, int] = json.load(answer)
            return found

    @property
    def key_reads(self) -> int:
        """How often its keys were read."""
        return self.control("counts").get("/jwks", 0)

    def token(self) -> str:
        """An access token of the client `robot`, in the group `robots`."""
        answer = self._post("token", {"grant_type": "client_credentials"}, authorization=_ROBOT)
        return str(answer["access_token"])

    def _post(self, path: str, form: dict[str, str], **headers: str) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.url}/{path}", urllib.parse.urlencode(form).encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def approve(self, verification_uri_complete: str, user: str) -> None:
        """What a person does in the browser: confirm the code, sign in, consent."""
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        address: str = verification_uri_complete
        form: dict[str, str] | None = None
        for _ in range(_PAGES):
            data = urllib.parse.urlencode(form).encode() if form is not None else None
            with browser.open(address, data, timeout=10) as answer:
                page, at = answer.read().decode(), answer.url
            if "Sign-in Success" in page:
                return
            action = re.search(r'<form[^>]*action="([^"]+)"', page)
            assert action, page
            address = urllib.parse.urljoin(at, action[1])
            inputs = re.findall(r"<input[^>]*>", page)
            named = {m[1]: each for each in inputs if (m := re.search(r'name="([^"]+)"', each))}
            form = {name: m[1] if (m := re.search(r'value="([^"]*)"', each)) else "" for name, each in named.items()}
            form |= {"confirm": "yes"} if "xsrf" in named else {}
            form |= {"login": user, "password": "any"} if "login" in named else {}
        raise AssertionError(f"no end after {_PAGES} pages, the last at {address}")

    def settings(self, **changes: Any) -> dict[str, str]:
        """What a server is told to trust it."""
        values = {"id": "corp", "issuer": self.url, "audience": AUDIENCE, "groups_claim": "groups"} | changes
        return {"issuers": json.dumps([values])}


@contextlib.contextmanager
def issuer(port: int = 0, **environment: str) -> Iterator[Issuer]:
    """A provider of its own; `TOKEN_TTL_S` and `TOKEN_ALG` change its access tokens."""
    process = subprocess.Popen(
        ["node", str(installed()), str(port or places.free_port())],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = (line for line in process.stdout if line.startswith("{"))
        ready = next(lines, None)
        assert ready, "the provider did not start"
        yield Issuer(json.loads(ready)["issuer"], process)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
