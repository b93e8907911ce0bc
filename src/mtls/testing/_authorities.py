"""Who issues the certificates of a test: a ``CertificateAuthority``, or a ``trustme.CA``.

Rule: what is given is never changed: what a fault revokes is revoked by a copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from mtls.errors import UsageError

if TYPE_CHECKING:
    from mtls._credentials.keystore import Keystore
    from mtls.authority import CertificateAuthority


class Blob(Protocol):
    """A ``trustme.Blob``."""

    def bytes(self) -> bytes:
        """The content."""


class TrustmeCA(Protocol):
    """A ``trustme.CA``, by what is used of it."""

    @property
    def cert_pem(self) -> Blob: ...
    @property
    def private_key_pem(self) -> Blob: ...


class TrustmeLeaf(Protocol):
    """A ``trustme.LeafCert``, by what is used of it."""

    @property
    def private_key_and_cert_chain_pem(self) -> Blob: ...


Authority: TypeAlias = "CertificateAuthority | TrustmeCA"


def authority_from_trustme(ca: TrustmeCA) -> CertificateAuthority:
    """A ``trustme.CA`` as a :class:`~mtls.authority.CertificateAuthority`: for ``.truststore``, and wherever an
    ``authority`` is asked for. One that was made by ``create_child_ca()`` counts as a root: its own certificate is the
    anchor. Raises :class:`~mtls.UsageError` for another object.
    """
    from mtls._credentials.keystore import Keystore
    from mtls.authority import CertificateAuthority

    try:
        content = ca.private_key_pem.bytes() + ca.cert_pem.bytes()
    except AttributeError:
        text = f"authority_from_trustme() takes a trustme.CA, not {type(ca).__name__}"
        raise UsageError(text) from None
    held = Keystore.from_pem(content)
    made = CertificateAuthority.__new__(CertificateAuthority)
    made._assemble(held._private_key, held.certificate, held.certificate, (), None)
    return made


def keystore_from_trustme(leaf: TrustmeLeaf) -> Keystore:
    """A ``trustme.LeafCert`` as a :class:`~mtls.Keystore`. Raises :class:`~mtls.UsageError` for another object."""
    from mtls._credentials.keystore import Keystore

    try:
        content = leaf.private_key_and_cert_chain_pem.bytes()
    except AttributeError:
        text = f"keystore_from_trustme() takes a trustme.LeafCert, not {type(leaf).__name__}"
        raise UsageError(text) from None
    return Keystore.from_pem(content)


def the_authority(given: Any) -> CertificateAuthority:
    """The authority that somebody gave. Raises :class:`UsageError` for what is none."""
    from mtls.authority import CertificateAuthority

    if isinstance(given, CertificateAuthority):
        return given
    if hasattr(given, "private_key_pem") and hasattr(given, "cert_pem"):
        return authority_from_trustme(given)
    text = f"authority= takes a CertificateAuthority or a trustme.CA, not {type(given).__name__}"
    raise UsageError(text)


def copied(authority: CertificateAuthority) -> CertificateAuthority:
    """The same authority, which has revoked nothing yet."""
    made = type(authority).__new__(type(authority))
    made._assemble(authority._key, authority._certificate, authority._root, authority._above, authority._parent)
    return made
