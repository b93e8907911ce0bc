"""Would OpenSSL take this certificate for a trust anchor? Asked without anything that it issued.

Theory of operation. OpenSSL looks at everything an anchor must be (a CA, its extensions, its key, its dates) before it
compares the signature of the leaf. So it is shown a leaf that names the anchor as its issuer and that nobody signed: if
it complains of the signature, the anchor is a good one, and else it complains of the anchor.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import PublicKeyAlgorithmOID as Kind

from mtls import _certificate
from mtls._credentials import der
from mtls._credentials.foreign import Refused, attempt
from mtls._credentials.request import key_usage
from mtls._credentials.secret import Secret
from mtls._credentials.truststore import Truststore
from mtls._handshake.verdict import BEGINS, ENDS, STRONG, Judge, Verdict
from mtls._model import Revocation

if TYPE_CHECKING:
    from mtls._handshake.generation import Settings
    from mtls._model import Role

_BAD_SIGNATURE = 7
_SIGNED_BY = {
    Kind.RSAES_PKCS1_v1_5: ("300d06092a864886f70d01010b0500", "300d06092a864886f70d01010d0500"),
    Kind.EC_PUBLIC_KEY: ("300a06082a8648ce3d040302", "300a06082a8648ce3d040304"),
    Kind.ED25519: ("300506032b6570", "300506032b6570"),
    Kind.ED448: ("300506032b6571", "300506032b6571"),
}
"""The signature algorithm that a key of this kind makes, with SHA-256 and, for high security levels, with SHA-512."""
_NO_SIGNATURE = Secret(bytes(65))


def judge_anchor(settings: Settings, anchor: x509.Certificate) -> Verdict | None:
    """OpenSSL's word on the anchor; code 0 where it is a good one. ``None`` where it cannot be asked: a key of a kind
    that signs nothing here. CRLs are left out.
    """
    strong = settings.policy.security_level >= STRONG
    leaf = attempt(lambda: _unsigned_leaf(anchor, settings.role.other, strong=strong))
    if leaf is None or isinstance(leaf, Refused):
        return None
    alone = replace(settings, truststore=Truststore.from_certificates([anchor]), revocation=Revocation.OFF)
    verdict = Judge(alone).judge([leaf])
    return verdict._replace(code=0, message="") if verdict.code == _BAD_SIGNATURE else verdict


def _unsigned_leaf(anchor: x509.Certificate, role: Role, *, strong: bool) -> bytes | None:
    algorithms = _SIGNED_BY.get(anchor.public_key_algorithm_oid)
    if algorithms is None:
        return None
    algorithm = Secret(bytes.fromhex(algorithms[strong]))
    key = ec.generate_private_key(ec.SECP521R1() if strong else ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "verdict")])
    own = _certificate.extension(anchor, x509.SubjectKeyIdentifier)
    identifier = own.digest if own else hashlib.sha256(_certificate.public_key_der(anchor)).digest()[:20]
    builder = x509.CertificateBuilder().issuer_name(anchor.subject).subject_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(BEGINS).not_valid_after(ENDS)
    for value in (
        x509.AuthorityKeyIdentifier(identifier, None, None),
        x509.SubjectKeyIdentifier(identifier[::-1]),
        x509.ExtendedKeyUsage([_certificate.EKU_OIDS[role]]),
        x509.SubjectAlternativeName([x509.DNSName("verdict.invalid")]),
        key_usage("digital_signature"),
    ):
        builder = builder.add_extension(value, critical=False)
    body = Secret(builder.sign(key, hashes.SHA512() if strong else hashes.SHA256()).tbs_certificate_bytes)
    parts = [Secret(body.reveal()[each.start : each.end]) for each in der.children(body, der.element(body))]
    parts[2] = algorithm  # version, serial number, algorithm (RFC 5280, 4.1)
    whole = der.encoded(
        der.SEQUENCE, der.encoded(der.SEQUENCE, *parts), algorithm, der.encoded(der.BIT_STRING, _NO_SIGNATURE)
    )
    return whole.reveal()
