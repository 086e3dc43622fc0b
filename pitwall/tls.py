"""TLS with a certificate that can be changed while the server runs."""

from __future__ import annotations

import re
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import AcceptableCiphers, CertificateOptions, TLSVersion
from zope.interface import implementer

from pitwall.keys.file import read
from pitwall.keys.key import KeysError

#: Of TLS 1.2 those with forward secrecy and authenticated encryption; TLS 1.3 has no others.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class TLSError(ValueError):
    """A certificate or a key that can't be used; the message names the setting, what it is and what was wanted."""


@implementer(IOpenSSLServerConnectionCreator)
class Certificate:
    """
    Makes the server's side of TLS connections: 1.2 or 1.3, never less.

    Args:
        certificate: the path of the certificate, and those between it and the root after it, in PEM.
        key: the path of its private key, in PEM and without a password.

    Raises:
        TLSError: they can't be used.
    """

    def __init__(self, certificate: str, key: str) -> None:
        self._paths = certificate, key
        self._context = _context(certificate, key)

    def reload(self) -> None:
        """
        Read both files again, for connections that are made from now on.

        Raises:
            TLSError: they can't be used; those that were read before stay.
        """
        self._context = _context(*self._paths)

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """The TLS of a new connection."""
        return SSL.Connection(self._context, None)


def harden(context: SSL.Context) -> None:
    """Let a context of another's making agree on TLS 1.2 with these ciphers, and on 1.3, and on nothing less."""
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS.encode())


def _context(certificate_path: str, key_path: str) -> SSL.Context:
    certificates = []
    try:
        for pem in _CERTIFICATE.findall(_read("TLS_CERT", certificate_path)):
            certificates.append(crypto.load_certificate(crypto.FILETYPE_PEM, pem))
    except (crypto.Error, ValueError) as error:
        if isinstance(error, TLSError):
            raise
        certificates.clear()
    if not certificates:
        raise TLSError(f"TLS_CERT is {certificate_path}, wanted a file with a certificate in PEM")
    try:
        # With a password, even an empty one, OpenSSL does not ask the terminal for it.
        key = crypto.load_privatekey(crypto.FILETYPE_PEM, _read("TLS_KEY", key_path), b"")
    except TLSError:
        raise
    except Exception:  # ValueError, TypeError, OpenSSL's or cryptography's own, by the kind of file
        raise TLSError(f"TLS_KEY is {key_path}, wanted a file with a private key in PEM, without a password") from None
    try:
        return CertificateOptions(
            privateKey=key,
            certificate=certificates[0],
            extraCertChain=certificates[1:],
            raiseMinimumTo=TLSVersion.TLSv1_2,
            acceptableCiphers=AcceptableCiphers.fromOpenSSLCipherString(CIPHERS),
        ).getContext()
    except SSL.Error:
        raise TLSError(f"TLS_KEY is {key_path}, wanted the private key of the certificate in TLS_CERT") from None


def _read(setting: str, path: str) -> bytes:
    try:
        return read(path)
    except KeysError as error:
        raise TLSError(f"{setting} is {path}, wanted a file that can be read: {error}") from None
