"""A private PostgreSQL on a loopback port."""

import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from _services import places, tools
from _services.engine import Engine, EngineError

_USER = "registry"
_STATUS_LINE = 8  # of postmaster.pid


class PostgresServer(Engine):
    """PostgreSQL with durable settings (fsync on), so that a kill proves what production would see.

    The superuser is `registry`; its password is made at the first start. As root the server runs
    as user postgres or nobody, which must be able to enter the directory's parents.
    """

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast": drops the clients and shuts down cleanly

    @property
    def url(self) -> str:
        """The address of database `postgres` with user and password: `postgresql://…`."""
        return f"postgresql://{_USER}:{self._password()}@127.0.0.1:{self.port}/postgres"

    def prepare(self) -> None:
        """Create the cluster at the first start."""
        if (self._data / "PG_VERSION").exists():
            return
        shutil.rmtree(self._data, ignore_errors=True)  # what an interrupted initdb left
        self.directory.mkdir(parents=True, exist_ok=True)
        user = places.unprivileged_user()
        secret = self.directory / "password"
        places.write_secret(secret, secrets.token_hex(16))
        if user:
            for path in (self.directory, secret):
                shutil.chown(path, user)
        initdb = [
            str(tools.postgres_bin() / "initdb"),
            f"--pgdata={self._data}",
            f"--username={_USER}",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",  # nothing in a cluster this young is worth waiting for
        ]
        done = subprocess.run(
            initdb,
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
            user=user,
            group=places.group_of(user),
            extra_groups=places.extra_groups_of(user),
        )
        if done.returncode:
            message = f"initdb failed in {self.directory}:\n{done.stdout}{done.stderr}"
            raise EngineError(message)

    def spawn(self, log: int) -> subprocess.Popen[bytes]:
        """Start the postmaster itself (no pg_ctl), so that its pid is ours."""
        user = places.unprivileged_user()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return subprocess.Popen(
            [tools.postgres_bin() / "postgres", "-D", self._data, *options],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            user=user,
            group=places.group_of(user),
            extra_groups=places.extra_groups_of(user),
        )

    def is_ready(self) -> bool:
        """Read what the postmaster says of itself: the port could be a stranger's."""
        lines = (self._data / "postmaster.pid").read_text().splitlines()
        return len(lines) >= _STATUS_LINE and lines[0] == str(self.pid()) and lines[_STATUS_LINE - 1].strip() == "ready"

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _password(self) -> str:
        return (self.directory / "password").read_text()
