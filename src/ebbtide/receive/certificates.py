"""A listener's certificates, read anew when their files change: whoever renews them need not restart anything.

In come paths, out come an `ssl` context for HTTP and credentials for gRPC. Files that cannot be used leave the ones
before in place and are counted: an unfinished renewal must not close a listener.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import grpc

from ebbtide.errors import ConfigError
from ebbtide.receive.settings import Tls


class Certificates:
    """What a listener shows and believes. Raises ConfigError when the files cannot be used at first.

    `count_unusable` is called for each change that could not be taken over.
    """

    def __init__(self, tls: Tls, where: str, count_unusable: Callable[[], None]) -> None:
        self._tls = tls
        self._count_unusable = count_unusable
        try:
            self._seen = self._marks()
            self.context = self._read()
        except OSError as error:  # what the ssl module raises is one too
            raise ConfigError(
                f"cannot use the certificate {tls.certificate}: {error}",
                where=where,
                hint="`certificate` and `key` are PEM files that belong together, `client_ca` one of certificates",
            ) from error

    def renew(self) -> bool:
        """Take over files that changed since the last look; whether there were any. Connections there are stay."""
        try:
            marks = self._marks()
            if marks == self._seen:
                return False
            self._seen = marks
            self._read()  # both files are tried before the context in use is touched
            self.context.load_cert_chain(self._tls.certificate, self._tls.key)
            if self._tls.client_ca is not None:
                self.context.load_verify_locations(self._tls.client_ca)
        except OSError:
            self._count_unusable()
            return False
        return True

    def credentials(self) -> Any:
        """Credentials for a gRPC server, which looks for new files at each handshake."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), self._fetch, require_client_authentication=self._tls.client_ca is not None
        )

    def _fetch(self) -> Any:
        """New files, or None to go on with those there are. Called from the library's threads."""
        try:
            return self._configuration() if self.renew() else None
        except OSError:
            self._count_unusable()
            return None

    def _configuration(self) -> Any:
        roots = None if self._tls.client_ca is None else self._tls.client_ca.read_bytes()
        pair = (self._tls.key.read_bytes(), self._tls.certificate.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], roots)

    def _marks(self) -> list[tuple[int, int]]:
        files = [self._tls.certificate, self._tls.key, *([self._tls.client_ca] if self._tls.client_ca else [])]
        return [(stat.st_mtime_ns, stat.st_ino) for stat in (file.stat() for file in files)]

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._tls.certificate, self._tls.key)
        if self._tls.client_ca is not None:
            context.load_verify_locations(self._tls.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
