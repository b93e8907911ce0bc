"""Do the options of this profile make sense together? What a context would silently ignore is an error here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import rsa

from mtls._model import FailureReason, Finding, HandshakeStep, Role, Severity, TLSVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mtls._credentials.keystore import Keystore
    from mtls._policy import TLSPolicy

_SECURITY_LEVELS = range(6)
_STATIC_RSA = ("AES128", "AES256", "ARIA", "CAMELLIA", "NULL-SHA")
"""How the names of the suites begin in which the client encrypts to the server's RSA key."""


def check_policy(policy: TLSPolicy, role: Role, keystore: Keystore | None) -> list[Finding]:
    """Whether any handshake can satisfy the policy with this key. Which names OpenSSL knows is asked elsewhere."""
    return [*_versions(policy), *_level(policy), *_suites(policy, role, keystore)]


def check_unused(given: Iterable[str], *, one_way: bool) -> list[Finding]:
    """Options that only a verified peer makes sense of, given to a server that verifies none."""
    if not one_way:
        return []
    return [
        Finding(
            failure=FailureReason.CERTIFICATE_REQUIRED,
            severity=Severity.ERROR,
            step=HandshakeStep.SERVER_VERIFIES_CLIENT,
            message=f"{option}= is given without truststore=: no client would be asked for a certificate, so it would "
            "never be applied",
            remedy=f"give truststore= with the CA of the clients, or leave {option}= out for one-way TLS",
            required="truststore=",
            presented="none",
        )
        for option in given
    ]


def unknown_ciphers(policy: TLSPolicy) -> Finding:
    """The finding for a cipher list in which OpenSSL knows no name."""
    return Finding(
        failure=FailureReason.NO_SHARED_CIPHER,
        severity=Severity.ERROR,
        step=HandshakeStep.CLIENT_HELLO,
        message=f"this OpenSSL knows none of the ciphers of {policy.name}: {policy.cipher_string}",
        remedy="name TLS 1.2 suites as 'openssl ciphers' lists them, for instance ECDHE-RSA-AES256-GCM-SHA384",
        required="a cipher that OpenSSL knows",
        presented=policy.cipher_string,
    )


def _versions(policy: TLSPolicy) -> Iterator[Finding]:
    if policy.minimum_version > policy.maximum_version:
        yield Finding(
            failure=FailureReason.PROTOCOL_VERSION,
            severity=Severity.ERROR,
            step=HandshakeStep.CLIENT_HELLO,
            message=f"{policy.name} allows no version: its minimum {policy.minimum_version.label} is above its maximum "
            f"{policy.maximum_version.label}",
            remedy="raise maximum_version or lower minimum_version",
            required=f"{policy.minimum_version.label} or newer",
            presented=f"{policy.maximum_version.label} or older",
        )


def _level(policy: TLSPolicy) -> Iterator[Finding]:
    if policy.security_level not in _SECURITY_LEVELS:
        yield Finding(
            failure=FailureReason.NO_SHARED_CIPHER,
            severity=Severity.ERROR,
            step=HandshakeStep.CLIENT_HELLO,
            message=f"security_level {policy.security_level} of {policy.name} does not exist",
            remedy="OpenSSL's security levels are 0 to 5; 2 is the default",
            required="0 to 5",
            presented=str(policy.security_level),
        )


def _suites(policy: TLSPolicy, role: Role, keystore: Keystore | None) -> Iterator[Finding]:
    """A server's key must fit the TLS 1.2 suites; in TLS 1.3 any key fits any suite.

    DHE fits none: without parameters of its own, which ``ssl`` loads from files only, no server offers it.
    """
    if role is not Role.SERVER or keystore is None or not policy.ciphers or policy.minimum_version > TLSVersion.TLSv1_2:
        return
    wanted = "RSA" if isinstance(keystore.certificate.public_key(), rsa.RSAPublicKey) else "ECDSA"
    if any(_signed_with(suite) in {wanted, None} for suite in policy.ciphers):
        return
    only_this = policy.maximum_version <= TLSVersion.TLSv1_2
    yield Finding(
        failure=FailureReason.NO_SHARED_CIPHER,
        severity=Severity.ERROR if only_this else Severity.WARNING,
        step=HandshakeStep.SERVER_HELLO,
        message=f"none of the TLS 1.2 ciphers of {policy.name} works with our {wanted} key"
        + ("" if only_this else ", so only TLS 1.3 clients can connect"),
        remedy=f"add a suite with {wanted} in its name, or use a key of the other kind",
        certificate=keystore.certificate,
        required=f"a suite with {wanted}",
        presented=", ".join(policy.ciphers),
    )


def _signed_with(suite: str) -> str | None:
    """The kind of key that a suite needs on a server: RSA, ECDSA, one that we have none of, or ``None`` for a rule
    such as ``ECDHE+AESGCM``, which only OpenSSL can tell.
    """
    if "-" not in suite or not suite[0].isalnum():
        return None
    if suite.startswith("ECDHE-ECDSA-"):
        return "ECDSA"
    return "RSA" if suite.startswith(("ECDHE-RSA-", *_STATIC_RSA)) else "other"
