"""A certificate request (CSR, PKCS#10, RFC 2986): read, and asked what it asks for.

Rule: a CSR that comes out of here can be read in full and is signed by the key that it holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mtls._credentials import pem
from mtls._credentials.foreign import Refused, attempt
from mtls._credentials.formats import identify
from mtls._model import Role, SourceFailure
from mtls.errors import UsageError

if TYPE_CHECKING:
    from mtls._credentials.sources import Named, Origin

EKU_OF = {Role.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH, Role.SERVER: ExtendedKeyUsageOID.SERVER_AUTH}
_LABELS = ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
_E = TypeVar("_E", bound=x509.ExtensionType)


def load_csr(source: Origin) -> x509.CertificateSigningRequest:
    """The CSR in a source, PEM or DER, proven."""
    document = source.read()
    encoded = document.content
    if identify(encoded) != "request":
        found = [block for block in pem.blocks(document) if block.label in _LABELS]
        if not found:
            problem, remedy = "it holds no certificate request (CSR)", "give the file that save() wrote"
            raise source.refusal(SourceFailure.WRONG_FORMAT, problem, remedy)
        encoded = found[0].der()
    csr = attempt(lambda: x509.load_der_x509_csr(encoded.reveal()))
    return proven(csr, source)


def proven(csr: x509.CertificateSigningRequest | Refused, source: Named) -> x509.CertificateSigningRequest:
    """The CSR itself, which can be read in full and is signed by the key that it holds (RFC 2986, 3)."""
    if not isinstance(csr, Refused):
        whole = attempt(lambda: (csr.subject, csr.extensions, csr.public_key(), csr.is_signature_valid)[-1])
        if whole is True:
            return csr
    problem = "the CSR is damaged: it cannot be read, or it is not signed by the key that it holds"
    raise source.refusal(SourceFailure.DAMAGED, problem, "make it again with that key, or get it again")


def requested(csr: x509.CertificateSigningRequest, kind: type[_E]) -> _E | None:
    """The extension that the CSR asks for, or ``None`` where it does not."""
    try:
        return csr.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def requested_names(csr: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    """The names that the CSR asks for, in their order."""
    return list(requested(csr, x509.SubjectAlternativeName) or ())


def requested_role(csr: x509.CertificateSigningRequest) -> Role:
    """The one role that the CSR asks for."""
    eku = list(requested(csr, x509.ExtendedKeyUsage) or ())
    roles = [role for role, oid in EKU_OF.items() if oid in eku]
    if len(roles) != 1:
        text = "the CSR does not ask for exactly one of serverAuth and clientAuth; say which one with role="
        raise UsageError(text)
    return roles[0]
