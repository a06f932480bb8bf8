"""TLS certificates, read again when their files change: new connections get the new one, old ones live on.

A file that is broken, or does not fit its key, leaves the last good one in force. gRPC would do that too, but tell
nobody; so everything is tried here first, and reported.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import grpc

from registry_grpc.server.expiry import expiry_of

_LOG = logging.getLogger("registry_grpc.tls")
_Stamp = tuple[tuple[int, int], ...]


class CertificateReport(Protocol):
    """Whoever wants to know how it goes. Called from threads of gRPC."""

    def certificate_loaded(self, expires: float) -> None:
        """A certificate is in force; it ends at `expires`, seconds since the epoch."""

    def certificate_failed(self) -> None:
        """Changed files could not be used."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files of one identity."""

    certificate: Path
    key: Path
    client_ca: Path | None
    report: CertificateReport

    def credentials(self, *, client_certificates: bool) -> grpc.ServerCredentials:
        """Credentials of one listener, which follow the files.

        Raises: ValueError when a file is missing or broken.
        """
        if client_certificates and self.client_ca is None:
            raise ValueError("mtls needs tls_client_ca")
        follower = _Follower(self, client_certificates=client_certificates)
        return grpc.dynamic_ssl_server_credentials(
            follower.first(),
            # None is allowed and means unchanged; the stubs do not say so.
            follower.changed,  # type: ignore[arg-type]
            require_client_authentication=client_certificates,
        )


class _Follower:
    """The files as one listener last saw them: each has its own eye, or only the first to look would see a change."""

    def __init__(self, files: Certificates, *, client_certificates: bool) -> None:
        self._files = files
        self._client_ca = files.client_ca if client_certificates else None
        self._stamp: _Stamp = ()

    def first(self) -> grpc.ServerCertificateConfiguration:
        """What is in force from the start.

        Raises: ValueError.
        """
        try:
            self._stamp = self._now()
            return self._load()
        except OSError as error:
            raise ValueError(f"the certificate cannot be used: {error}") from None

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """What gRPC asks at each handshake: None means as before, which is also the answer to a broken file."""
        try:
            stamp = self._now()
            if stamp == self._stamp:
                return None
            # Also when it fails: the same broken files are not tried, and counted, at every handshake.
            self._stamp = stamp
            return self._load()
        except (OSError, ValueError) as error:
            self._files.report.certificate_failed()
            _LOG.error(
                "certificate not reloaded; the last good one stays",
                extra={"file": str(self._files.certificate), "error": f"{type(error).__name__}: {error}"},
            )
            return None

    def _load(self) -> grpc.ServerCertificateConfiguration:
        """The files, tried.

        Raises: ValueError; OSError, of which ssl.SSLError is one.
        """
        files = self._files
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A password that is never asked for: a prompt would hold up the handshake.
        trial.load_cert_chain(files.certificate, files.key, password="")
        if self._client_ca is not None:
            trial.load_verify_locations(self._client_ca)
        chain = files.certificate.read_bytes()
        expires = expiry_of(chain)
        roots = self._client_ca.read_bytes() if self._client_ca else None
        configuration = grpc.ssl_server_certificate_configuration(
            [(files.key.read_bytes(), chain)], root_certificates=roots
        )
        files.report.certificate_loaded(expires)
        return configuration

    def _now(self) -> _Stamp:
        files = [self._files.certificate, self._files.key, *([self._client_ca] if self._client_ca else [])]
        try:
            return tuple((info.st_mtime_ns, info.st_ino) for info in (file.stat() for file in files))
        except FileNotFoundError:
            # As good a state as any: being gone is one change, not one at every handshake.
            return ((0, 0),)
