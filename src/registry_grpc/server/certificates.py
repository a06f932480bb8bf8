"""TLS certificates, read again when their files change: new connections get the new one, old ones live on."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

import grpc

_LOG = logging.getLogger("registry_grpc.tls")
_Stamp = tuple[tuple[int, int], ...]


@dataclass
class Certificates:
    """The files of one identity."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    reload_failures: int = 0
    _stamp: _Stamp = field(default=(), init=False, repr=False)

    def credentials(self, *, client_certificates: bool) -> grpc.ServerCredentials:
        """Credentials that follow the files.

        Raises: ValueError when a file is missing.
        """
        if client_certificates and self.client_ca is None:
            raise ValueError("mtls needs tls_client_ca")
        self._stamp = self._now()
        return grpc.dynamic_ssl_server_credentials(
            self._load(client_certificates=client_certificates),
            # None is allowed and means unchanged; the stubs do not say so.
            lambda: self._changed(client_certificates=client_certificates),  # type: ignore[arg-type, return-value]
            require_client_authentication=client_certificates,
        )

    def _changed(self, *, client_certificates: bool) -> grpc.ServerCertificateConfiguration | None:
        """What gRPC asks at each handshake: None means as before, which is also the answer to a broken file."""
        try:
            stamp = self._now()
            if stamp == self._stamp:
                return None
            self._stamp = stamp
            return self._load(client_certificates=client_certificates)
        except (OSError, ValueError):
            self.reload_failures += 1
            _LOG.exception("certificate not reloaded; the last good one stays")
            return None

    def _load(self, *, client_certificates: bool) -> grpc.ServerCertificateConfiguration:
        roots = self.client_ca.read_bytes() if client_certificates and self.client_ca else None
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=roots)

    def _now(self) -> _Stamp:
        files = [self.certificate, self.key, *([self.client_ca] if self.client_ca else [])]
        return tuple((info.st_mtime_ns, info.st_ino) for info in (file.stat() for file in files))
