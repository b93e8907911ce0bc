"""What sources of trust hold: anchors and CRLs.

Rule: a private key beside them is never parsed out of PEM, and of a keystore no leaf becomes an anchor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mtls import _certificate as facts
from mtls._credentials import pem, pkcs12, x509_objects
from mtls._model import SourceFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

    from mtls._credentials.secret import Passphrase
    from mtls._credentials.sources import Origin


class Trust(NamedTuple):
    """What a source brings. ``public``: it is a list of public CAs."""

    anchors: Sequence[x509.Certificate]
    crls: Sequence[x509.CertificateRevocationList] = ()
    public: bool = False


def from_pem(sources: Sequence[Origin], crls: Sequence[Origin]) -> Trust:
    """Every certificate of ``sources``, the CRLs among them and those of ``crls``."""
    anchors: list[x509.Certificate] = []
    lists: list[x509.CertificateRevocationList] = []
    for source in sources:
        document = source.read()
        blocks = pem.blocks(document)
        found = [x509_objects.certificate(block) for block in blocks if block.is_certificate]
        if not found:
            raise pem.without("certificate", SourceFailure.NO_CERTIFICATE, blocks, document)
        anchors += found
        lists += [x509_objects.crl(block) for block in blocks if block.label == pem.CRL]
    return Trust(anchors, [*lists, *(crl for source in crls for crl in x509_objects.crls(source.read()))])


def from_pkcs12(source: Origin, password: Passphrase, crls: Sequence[Origin]) -> Trust:
    """The certificates of a PKCS#12 file; of one with a private key the CA certificates."""
    document = source.read()
    contents = pkcs12.open_(document, password.for_one_load())
    anchors = [x509_objects.readable(certificate, document) for certificate in contents.certificates]
    if contents.key is not None:
        anchors = [anchor for anchor in anchors if facts.is_ca(anchor)]
    if not anchors:
        problem = "it holds no CA certificate" if contents.key is not None else "it holds no certificate"
        remedy = "give the certificate of the CA; a leaf is pinned by from_pem() or from_certificates()"
        raise document.refusal(SourceFailure.NO_CERTIFICATE, problem, remedy)
    return Trust(anchors, [crl for origin in crls for crl in x509_objects.crls(origin.read())])
