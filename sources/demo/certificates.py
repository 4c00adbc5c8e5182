"""TLS for the demo portal: a throw-away authority and a certificate of its own.

Some clients of Bitrix24 insist on https; they trust the authority's file through
`REQUESTS_CA_BUNDLE` or `SSL_CERT_FILE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class TlsFiles:
    """PEM files of one server.

    Attributes:
        ca_file: the authority's certificate, for clients.
        chain_file: the server's certificate.
        key_file: its private key, readable by this user only.
    """

    ca_file: Path
    chain_file: Path
    key_file: Path


def issue_certificate(folder: Path, hosts: Sequence[str] = ()) -> TlsFiles:
    """Write a new authority and a certificate for localhost, 127.0.0.1 and the named hosts.

    The authority's own key is forgotten: nobody can sign with it afterwards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = TlsFiles(folder / "ca.pem", folder / "portal.pem", folder / "portal.key")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1", "::1", *hosts)
    authority.cert_pem.write_to_path(files.ca_file)
    files.chain_file.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    files.key_file.unlink(missing_ok=True)
    files.key_file.touch(mode=0o600)
    certificate.private_key_pem.write_to_path(files.key_file)
    return files
