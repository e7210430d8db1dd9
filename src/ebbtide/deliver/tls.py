"""How a peer is known over TLS, and how a sink shows itself to it."""

from __future__ import annotations

import ssl
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ebbtide.deliver.sink import Retryable
from ebbtide.errors import ConfigError


class Tls(BaseModel):
    """Files for TLS.

    `ca_file` None trusts the system's authorities; `cert_file` and `key_file` are shown to the peer (mTLS). There is
    no way to trust just anybody: give the peer's own certificate as `ca_file` instead.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """The client's side of TLS 1.2 or later. Raises ConfigError where a file cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ValueError) as error:
            files = ", ".join(str(one) for one in (self.ca_file, self.cert_file, self.key_file) if one)
            raise ConfigError(f"cannot use the TLS files {files}: {error}", hint="PEM files are expected") from error
        return context


def refused(target: str, error: ssl.SSLError) -> Retryable:
    """What a failure of TLS means: the settings or the peer are wrong, not the delivery."""
    reason = getattr(error, "verify_message", "") or error.reason or "it failed"
    return Retryable(f"TLS to {target}: {reason}", hint="give the peer's authority as `tls: {ca_file: ...}`")
