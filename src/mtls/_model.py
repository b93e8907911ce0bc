"""The vocabulary: the words that every other module speaks, and nothing that acts.

Rule: no I/O, no clock, no ``ssl``, no ``cryptography`` at run time. A value here is frozen.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography import x509


class HandshakeStep(enum.IntEnum):
    """The eight steps of a two-way TLS handshake; one-way TLS skips 5 and 6.

    The numbers name the steps, they do not order them in time: TLS 1.3 does the key exchange (7) before it sends the
    first certificate (3). Which steps are done is therefore always a set.
    """

    CLIENT_HELLO = 1
    """The client proposes versions, cipher suites and extensions."""
    SERVER_HELLO = 2
    """The server picks from what the client proposed."""
    SERVER_CERTIFICATE = 3
    """The server sends its certificate chain."""
    CLIENT_VERIFIES_SERVER = 4
    """The client checks chain, dates, EKU and name of the server against its truststore."""
    CLIENT_CERTIFICATE = 5
    """The client sends its certificate chain."""
    SERVER_VERIFIES_CLIENT = 6
    """The server checks the client's chain against its truststore."""
    KEY_EXCHANGE = 7
    """Both sides agree on the session keys and prove it (Finished)."""
    APPLICATION_DATA = 8
    """Encrypted data flows."""

    @property
    def docs_anchor(self) -> str:
        """The page of the documentation about this step, relative to its root: ``steps/1-client-hello.html``."""
        return f"steps/{self.value}-{self.name.lower().replace('_', '-')}.html"


class Role(enum.StrEnum):
    """Which end of the connection somebody is."""

    CLIENT = "client"
    SERVER = "server"

    @property
    def other(self) -> Role:
        """The role of the peer."""
        return Role.SERVER if self is Role.CLIENT else Role.CLIENT

    @property
    def eku(self) -> str:
        """The name of the extended key usage that a certificate of this role needs (RFC 5280, 4.2.1.12)."""
        return f"{self.value}Auth"

    @property
    def certificate_step(self) -> HandshakeStep:
        """The step at which this role sends its certificate."""
        return HandshakeStep.CLIENT_CERTIFICATE if self is Role.CLIENT else HandshakeStep.SERVER_CERTIFICATE

    @property
    def verified_at(self) -> HandshakeStep:
        """The step at which the peer verifies the certificate of this role."""
        return HandshakeStep.SERVER_VERIFIES_CLIENT if self is Role.CLIENT else HandshakeStep.CLIENT_VERIFIES_SERVER


class Side(enum.StrEnum):
    """Who refused: we did, or the peer told us that it did."""

    LOCAL = "local"
    PEER = "peer"


class Verdict(enum.StrEnum):
    """What one side of a handshake decided about the other, as far as it can be known."""

    ACCEPTED = "accepted"
    """It went on: it verified the other, or showed by a session ticket or by data that its handshake had ended well."""
    REFUSED = "refused"
    """It ended the handshake, or answered that it does not accept the other's certificate, or that it misses one."""
    UNKNOWN = "unknown"
    """It did not come to that, or nothing tells."""


class Evidence(enum.StrEnum):
    """How we know: seen in an alert or an error of our own OpenSSL, or concluded from what did not come."""

    OBSERVED = "observed"
    INFERRED = "inferred"


class Phase(enum.StrEnum):
    """During which call of the connection a failure came to light. TLS 1.3 tells a client of its refusal only after
    the handshake, at its first read or write.
    """

    HANDSHAKE = "handshake"
    FIRST_READ = "first_read"
    FIRST_WRITE = "first_write"
    READ = "read"
    WRITE = "write"
    SHUTDOWN = "shutdown"
    RESPONSE = "response"
    """In an HTTP response: the server finished the handshake, and refused afterwards."""


class Severity(enum.StrEnum):
    """Whether a finding stops a handshake."""

    ERROR = "error"
    WARNING = "warning"


class FailureReason(enum.StrEnum):
    """Why a step fails: one list for the checks beforehand and for handshakes. It may grow in a minor version."""

    # negotiation
    NOT_TLS = "not_tls"
    PROTOCOL_VERSION = "protocol_version"
    NO_SHARED_CIPHER = "no_shared_cipher"
    NO_SHARED_GROUP = "no_shared_group"
    NO_SHARED_SIGNATURE_ALGORITHM = "no_shared_signature_algorithm"
    ALPN = "alpn"
    UNRECOGNIZED_NAME = "unrecognized_name"
    MALFORMED = "malformed"
    # certificate
    UNKNOWN_CA = "unknown_ca"
    INCOMPLETE_CHAIN = "incomplete_chain"
    SELF_SIGNED = "self_signed"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    WRONG_EKU = "wrong_eku"
    WRONG_KEY_USAGE = "wrong_key_usage"
    NOT_A_CA = "not_a_ca"
    PATH_TOO_LONG = "path_too_long"
    NAME_CONSTRAINTS = "name_constraints"
    HOSTNAME_MISMATCH = "hostname_mismatch"
    MISSING_EXTENSION = "missing_extension"
    UNKNOWN_CRITICAL_EXTENSION = "unknown_critical_extension"
    BAD_SIGNATURE = "bad_signature"
    WEAK_KEY = "weak_key"
    WEAK_SIGNATURE = "weak_signature"
    REVOKED = "revoked"
    CRL_MISSING = "crl_missing"
    CRL_EXPIRED = "crl_expired"
    KEY_MISMATCH = "key_mismatch"
    # client certificate
    CERTIFICATE_REQUIRED = "certificate_required"
    CERTIFICATE_REJECTED = "certificate_rejected"
    NOT_AUTHORIZED = "not_authorized"
    # transport
    CLOSED = "closed"
    RESET = "reset"
    TIMED_OUT = "timed_out"
    TAMPERED = "tampered"
    PEER_ERROR = "peer_error"
    # warnings, which no handshake fails on
    EXPIRES_SOON = "expires_soon"
    WRONG_ORDER = "wrong_order"
    SUPERFLUOUS_CERTIFICATE = "superfluous_certificate"
    LEAF_AS_ANCHOR = "leaf_as_anchor"
    EKU_ABSENT = "eku_absent"

    @property
    def docs_anchor(self) -> str:
        """The page of the documentation about this failure, relative to its root: ``failures/unknown-ca.html``."""
        return f"failures/{self.value.replace('_', '-')}.html"


class SourceFailure(enum.StrEnum):
    """Why a key, certificate or CRL source cannot be used. The list is closed for one minor version."""

    NOT_FOUND = "not_found"
    NOT_READABLE = "not_readable"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NO_PEM_BLOCK = "no_pem_block"
    WRONG_FORMAT = "wrong_format"
    PASSWORD_REQUIRED = "password_required"  # noqa: S105 - the name of a failure, not a password
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - the name of a failure, not a password
    DAMAGED = "damaged"
    NO_KEY = "no_key"
    SEVERAL_KEYS = "several_keys"
    KEY_MISMATCH = "key_mismatch"
    NO_CERTIFICATE = "no_certificate"
    UNSUPPORTED_KEY = "unsupported_key"


class AnchorKind(enum.StrEnum):
    """What a trust anchor is."""

    ROOT = "root"
    """A self-signed CA."""
    INTERMEDIATE = "intermediate"
    """A CA that another CA issued: everything it ever signed is trusted, and it ends on its own date."""
    LEAF = "leaf"
    """No CA: exactly this certificate is trusted, until it is renewed."""


class TLSVersion(enum.IntEnum):
    """A protocol version, by its number on the wire (equal to the members of :class:`ssl.TLSVersion`)."""

    TLSv1_2 = 0x0303
    TLSv1_3 = 0x0304

    @property
    def label(self) -> str:
        """The version as people write it, for instance ``TLS 1.3``."""
        return f"TLS 1.{self.value - 0x0301}"


class EKUPolicy(enum.StrEnum):
    """What is demanded of the extended key usage extension. There is no way to ignore a wrong one."""

    IF_PRESENT = "if_present"
    """RFC 5280, 4.2.1.12, as OpenSSL, Go and JSSE read it: an absent extension means any use."""
    REQUIRED = "required"
    """The extension must be there and name the role."""


class ChainRules(enum.StrEnum):
    """How strictly a chain is read."""

    STRICT = "strict"
    """RFC 5280 in full (``X509_V_FLAG_X509_STRICT``), the same on every Python."""
    LENIENT = "lenient"
    """Without it: CAs without keyUsage and leaves without authorityKeyIdentifier pass."""


class Revocation(enum.StrEnum):
    """For which certificates of the path a fresh CRL is demanded."""

    CHAIN = "chain"
    """For every certificate of the path (the default as soon as the truststore holds CRLs)."""
    LEAF = "leaf"
    """For the leaf only: a revoked intermediate is not noticed."""
    OFF = "off"
    """For none."""


class ClientAuth(enum.StrEnum):
    """Whether a server demands a client certificate. A certificate that is shown is always verified."""

    REQUIRED = "required"
    OPTIONAL = "optional"


class ServerIdentity(enum.StrEnum):
    """How a client knows that it reached the right server; a ``PeerPolicy`` may stand in its place."""

    HOSTNAME = "hostname"
    """The host name or IP address that was asked for must be in the subjectAltName (RFC 9525)."""


class Omitted(enum.Enum):
    """The default of an option that was left out, which is another thing than ``None``."""

    OMITTED = "left out"

    def __repr__(self) -> str:
        return "<left out>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fact about key material or a chain that breaks a handshake, or soon may.

    ``step`` is the handshake step that it breaks; ``position`` counts the chain from the leaf, which is 0.
    ``required`` and ``presented`` are the two values that do not fit, as text; ``remedy`` says who must do what.
    """

    failure: FailureReason
    severity: Severity
    step: HandshakeStep
    message: str
    remedy: str
    certificate: x509.Certificate | None = None
    position: int | None = None
    required: str | None = None
    presented: str | None = None

    def __post_init__(self) -> None:
        if not self.message or not self.remedy:
            text = "a finding needs a message and a remedy"
            raise ValueError(text)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form without the certificate itself."""
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "certificate"}
        return plain | {"failure": self.failure.value, "severity": self.severity.value, "step": int(self.step)}

    def __reduce__(self) -> tuple[Any, ...]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.certificate is not None:
            values["certificate"] = _der(self.certificate)
        return _unpickle_finding, (values,)


def _der(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def _unpickle_finding(values: dict[str, Any]) -> Finding:
    if values["certificate"] is not None:
        from cryptography import x509

        values = values | {"certificate": x509.load_der_x509_certificate(values["certificate"])}
    return Finding(**values)
