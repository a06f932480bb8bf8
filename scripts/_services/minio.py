"""A private MinIO on a loopback port: the S3 of the tests."""

import http.client
import json
import os
import secrets
import subprocess
from pathlib import Path

from _services import places, tools
from _services.engine import Engine


class MinioServer(Engine):
    """MinIO with one drive; the keys are made at the first start and live in its directory."""

    name = "MinIO"

    @property
    def endpoint(self) -> str:
        """The address as `host:port`, plain HTTP."""
        return f"127.0.0.1:{self.port}"

    @property
    def access_key(self) -> str:
        """The root user."""
        return self._keys()["access_key"]

    @property
    def secret_key(self) -> str:
        """The root user's password."""
        return self._keys()["secret_key"]

    def prepare(self) -> None:
        """Make the drive and the keys at the first start."""
        (self.directory / "drive").mkdir(parents=True, exist_ok=True)
        if not self._key_file.exists():
            keys = {"access_key": secrets.token_hex(8), "secret_key": secrets.token_hex(20)}
            places.write_secret(self._key_file, json.dumps(keys))

    def spawn(self, log: int) -> subprocess.Popen[bytes]:
        """Start the server without console, update check or anything in the home directory."""
        environment = {
            "HOME": str(self.directory),
            "MINIO_BROWSER": "off",
            "MINIO_ROOT_PASSWORD": self.secret_key,
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_UPDATE": "off",
            "PATH": os.environ.get("PATH", ""),
        }
        command: list[str | Path] = [
            tools.find("minio"),
            "server",
            "--quiet",
            f"--address=127.0.0.1:{self.port}",
            f"--certs-dir={self.directory / 'certs'}",
            self.directory / "drive",
        ]
        return subprocess.Popen(
            command,
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def is_ready(self) -> bool:
        """Ask as nobody: refused means that both the drive and the accounts are loaded."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == http.client.FORBIDDEN
        except http.client.HTTPException:
            return False
        finally:
            connection.close()

    @property
    def _key_file(self) -> Path:
        return self.directory / "keys.json"

    def _keys(self) -> dict[str, str]:
        keys: dict[str, str] = json.loads(self._key_file.read_text())
        return keys
