"""OpenSSL's own verdict on a chain, without a private key.

Theory of operation. OpenSSL validates the whole path as soon as it has read the Certificate message, before any
signature over the handshake. So an object in memory is fed a TLS 1.2 flight that ends with that message: a ServerHello
and the Certificate of a server; or a ClientHello and then, once our side has asked for it, the Certificate of a client.
What OpenSSL says then is what it would say in a handshake: the same library, trust, flags, CRLs, security level, clock.
"""

from __future__ import annotations

import _ssl
import functools
import ssl
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography import x509

from mtls._credentials.key_types import KeyType, default_hash, generate_key
from mtls._credentials.keystore import Keystore
from mtls._handshake import flight
from mtls._handshake.generation import build
from mtls._model import ClientAuth, Role, TLSVersion
from mtls._policy import TLSPolicy
from mtls.errors import VerdictUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mtls._handshake.generation import Settings

NO_CHECK_TIME = 0x200000
"""``X509_V_FLAG_NO_CHECK_TIME``, for which ``ssl`` has no name: no date of a certificate or a CRL counts."""

MOST_BYTES = 102_400
"""OpenSSL takes no longer Certificate message (``SSL_CTX_set_max_cert_list``); that of TLS 1.3 is the longer one."""
TOO_LONG = "EXCESSIVE_MESSAGE_SIZE"
"""OpenSSL's reason for a longer one."""
_RSA_ENCRYPTION = bytes.fromhex("06092a864886f70d010101")
"""How a SubjectPublicKeyInfo with an RSA key begins: the suite to try first."""
_OTHER_KIND = "WRONG_CERTIFICATE_TYPE"
"""What OpenSSL says when it has accepted the path, and the key of the leaf is not of the kind that the suite needs."""
STRONG = 4
"""From this security level on a key on P-256 is too weak."""
BEGINS, ENDS = datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


class Verdict(NamedTuple):
    """What OpenSSL said of a chain."""

    code: int
    """``X509_V_ERR_*``; 0 where the path is good, and where OpenSSL did not come to judge it."""
    message: str
    """OpenSSL's text for the code, or the name of the error that kept it from judging; for people only."""
    path: tuple[bytes, ...]
    """The path that it took (DER, leaf first), as far as it came."""
    judged: bool = True
    """Whether it came to judge the path; it does not for a certificate that it cannot decode."""

    @property
    def accepted(self) -> bool:
        """Whether the path is good."""
        return self.judged and self.code == 0


class Judge:
    """Asks OpenSSL about the peers of one set of settings; safe to share between threads.

    ``dates=False`` sets every date aside, of certificates and of CRLs. Raises :class:`VerdictUnavailableError` where
    this OpenSSL does not take the trust anchors or the CRLs, or does not speak TLS 1.2.
    """

    def __init__(self, settings: Settings, *, dates: bool = True) -> None:
        level = settings.policy.security_level
        self._as_server = settings.role is Role.SERVER
        self._tls13 = settings.policy.maximum_version >= TLSVersion.TLSv1_3
        judging = replace(
            settings,
            keystore=_dummy_identity(strong=level >= STRONG) if self._as_server else None,
            policy=_policy(level),
            alpn=(),
            client_auth=ClientAuth.REQUIRED,
        )
        try:
            self._context: Any = build(judging, ())
        except ssl.SSLError as refusal:
            text = f"this OpenSSL takes the truststore, its CRLs or TLS 1.2 for a verdict not ({_reason(refusal)})"
            raise VerdictUnavailableError(text) from refusal
        if not dates:
            self._context.verify_flags |= NO_CHECK_TIME

    def judge(self, chain: Sequence[bytes], hostname: str | None = None) -> Verdict:
        """The verdict on ``chain`` (DER, in the order of the message); ``hostname`` as ``ssl`` encodes it."""
        if not chain or (self._tls13 and flight.size_in_tls13(chain) > MOST_BYTES) or not flight.fits(chain):
            return Verdict(0, TOO_LONG, (), judged=False)
        if self._as_server:
            return self._judge(flight.client_hello(), flight.certificate_of_client(chain), None)
        suites = (flight.RSA, flight.ECDSA) if _RSA_ENCRYPTION in chain[0] else (flight.ECDSA, flight.RSA)
        verdict = self._judge(b"", flight.certificate_of_server(chain, suites[0]), hostname)
        if verdict.message == _OTHER_KIND:
            verdict = self._judge(b"", flight.certificate_of_server(chain, suites[1]), hostname)
        # no suite can use this key: the path is accepted, and what is wrong with the key is not OpenSSL's to say here
        return verdict._replace(judged=True) if verdict.message == _OTHER_KIND else verdict

    def _judge(self, hello: bytes, certificates: bytes, hostname: str | None) -> Verdict:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._context._wrap_bio(incoming, outgoing, self._as_server, hostname)
        incoming.write(hello)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            incoming.write(certificates)
        except ssl.SSLError as refusal:
            text = f"this OpenSSL does not speak the TLS 1.2 that a verdict needs ({_reason(refusal)})"
            raise VerdictUnavailableError(text) from refusal
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            return Verdict(0, "", _path(tls))
        except ssl.SSLCertVerificationError as refusal:
            return Verdict(refusal.verify_code, refusal.verify_message, _path(tls))
        except ssl.SSLError as refusal:
            return Verdict(0, _reason(refusal), _path(tls), judged=False)
        text = "OpenSSL ended a handshake of which it has seen no more than the beginning"
        raise VerdictUnavailableError(text)


def _reason(refusal: ssl.SSLError) -> str:
    """OpenSSL's name for what went wrong; an error that Python itself makes has none."""
    return getattr(refusal, "reason", None) or "no reason given"


def _path(tls: Any) -> tuple[bytes, ...]:
    return tuple(entry.public_bytes(_ssl.ENCODING_DER) for entry in tls.get_verified_chain() or ())


def _policy(level: int) -> TLSPolicy:
    only = TLSVersion.TLSv1_2
    return TLSPolicy(
        name="verdict", minimum_version=only, maximum_version=only, ciphers=flight.CIPHERS, security_level=level
    )


@functools.cache
def _dummy_identity(*, strong: bool) -> Keystore:
    """What the judging server shows. Nobody looks at it, and its key never leaves the memory of this process."""
    key = generate_key(KeyType.EC_P521 if strong else KeyType.EC_P256)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "verdict")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(BEGINS).not_valid_after(ENDS)
    return Keystore.from_objects(key, builder.sign(key, default_hash(key)))
