"""From a new key to a certificate: key → CSR → certificate (PKCS#10, RFC 2986).

Rule: the key never leaves but for its file; only a certificate that fits it, with all that was asked for, comes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, SupportsIndex

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from mtls import _certificate
from mtls._credentials import keys, pem, saving, x509_objects
from mtls._credentials.csr import EKU_OF, load_csr, requested_names, requested_role
from mtls._credentials.foreign import Refused, attempt
from mtls._credentials.key_types import KeyType, default_hash, generate_key, key_digest
from mtls._credentials.keystore import Keystore
from mtls._credentials.names import comparable, default_subject, general_names, name_text
from mtls._credentials.saving import Existing
from mtls._credentials.secret import Passphrase
from mtls._credentials.sources import Origin
from mtls._model import FailureReason, Finding, Role, Severity, SourceFailure
from mtls.errors import ChainError, KeystoreError, UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from mtls._credentials.keys import PrivateKey
    from mtls._credentials.names import Name
    from mtls._credentials.secret import Password
    from mtls._credentials.sources import Source

_ANY_EKU = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
_KEY_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class CertificateRequest:
    """A private key that waits for its certificate, and the request (CSR) that any CA can answer.

    Make one with :meth:`new`, or take one up again with :meth:`load`. It cannot be pickled, and no ``repr`` shows the
    key. ::

        request = CertificateRequest.new(names=["billing.example"], role=Role.CLIENT)
        request.save_key("billing.key")
        request.save("billing.csr")                       # goes to the CA …
        keystore = request.complete("billing.crt")        # … and comes back as a certificate with its chain
    """

    csr: x509.CertificateSigningRequest
    """The request as an object of ``cryptography``."""
    role: Role
    """The role that the certificate is asked for."""
    _private_key: PrivateKey

    @classmethod
    def new(
        cls,
        *,
        names: Sequence[Name],
        role: Role | str,
        key_type: KeyType | str = KeyType.EC_P256,
        subject: x509.Name | None = None,
    ) -> CertificateRequest:
        """A new key, and a CSR for it with these names (subjectAltName), the EKU of ``role`` and digitalSignature.

        A name is known by its form: ``spiffe://…`` or anything with ``://`` is a URI, ``10.0.0.1`` or ``::1`` an IP
        address, ``ops@example.com`` an e-mail address, the rest a DNS name (RFC 1034; a wildcard is a whole leftmost
        label, RFC 9525; other scripts are encoded by IDNA 2003 as the ``ssl`` module does it). An
        :class:`x509.GeneralName` is taken as it is. ``subject`` is by default ``CN=`` the first name, or empty if that
        is longer than 64 characters; with an empty subject the subjectAltName is critical (RFC 5280, 4.2.1.6).

        Raises :class:`~mtls.UsageError` that names the input at fault. Whether the names are yours is not checked.
        """
        general = general_names(names)
        if not general:
            text = "names= is empty; a certificate is known by its names, give at least one"
            raise UsageError(text)
        wanted = parse_role(role)
        subject = default_subject(general) if subject is None else subject
        if not isinstance(subject, x509.Name):
            text = f"subject= takes an x509.Name, not {type(subject).__name__}"
            raise UsageError(text)
        return request_for(generate_key(key_type), general, wanted, subject)

    @classmethod
    def load(
        cls, *, key: Source, csr: Source, password: Password | None = None, role: Role | str | None = None
    ) -> CertificateRequest:
        """Take up a request again, in another process, days later: the key and the CSR that were saved.

        ``key`` and ``csr`` are each a path, or the content as ``bytes`` (PEM; a CSR also DER). ``role`` is needed only
        where the CSR itself does not name exactly one, as many that ``openssl req`` made.

        Raises :class:`~mtls.KeystoreError` if one cannot be read, the password is missing or wrong, the CSR is damaged
        or is not signed by this key (``KEY_MISMATCH``); :class:`~mtls.UsageError` if the role cannot be told.
        """
        sources = Origin(key, "key", KeystoreError), Origin(csr, "csr", KeystoreError)
        passphrase = Passphrase(password)
        del key, csr, password  # a traceback that shows local variables must not show them
        private_key, parsed = _load_key(sources[0], passphrase.checked()), load_csr(sources[1])
        if key_digest(parsed) != key_digest(private_key):
            problem = f"the CSR is for the key {key_digest(parsed)}, the private key is {key_digest(private_key)}"
            remedy = "load the key and the CSR that were saved together"
            raise sources[1].refusal(SourceFailure.KEY_MISMATCH, problem, remedy)
        return cls(parsed, requested_role(parsed) if role is None else parse_role(role), private_key)

    @property
    def pem(self) -> bytes:
        """The CSR in PEM, to send to the CA. It is public."""
        return self.csr.public_bytes(Encoding.PEM)

    @property
    def names(self) -> tuple[str, ...]:
        """The names asked for: the values of the subjectAltName in their order, in ASCII (IDNA encoded)."""
        return tuple(map(name_text, requested_names(self.csr)))

    def save_key(
        self,
        path: str | os.PathLike[str],
        *,
        password: Password | None = None,
        existing: Existing | str = Existing.REFUSE,
    ) -> None:
        """Write the private key as PKCS#8 in PEM, mode 0600 whatever the umask; encrypted if there is a ``password``.

        The file appears whole or not at all. Raises :class:`~mtls.UsageError` if it exists (``Existing.REPLACE``
        replaces it; the old key is gone then), and lets an :class:`OSError` of the file system pass.
        """
        passphrase = Passphrase(password)
        del password  # a traceback that shows local variables must not show it
        saving.write(saving.key_file(path, self._private_key, passphrase), existing=existing)

    def save(self, path: str | os.PathLike[str], *, existing: Existing | str = Existing.REFUSE) -> None:
        """Write the CSR in PEM, mode 0644; raises as :meth:`save_key` does."""
        saving.write(saving.certificate_file(path, self.pem), existing=existing)

    def complete(self, reply: Source | Sequence[x509.Certificate]) -> Keystore:
        """The keystore of our key and the certificate in the CA's ``reply``; the rest of the reply is its chain.

        ``reply`` is a path, PEM as ``bytes``, or certificates in any order. Of several that fit the key, one that has
        all that was asked for is taken, and of these the one that lasts longest.

        Raises :class:`~mtls.KeystoreError` if the reply cannot be read or no certificate in it fits the key
        (``KEY_MISMATCH``, with both fingerprints); :class:`~mtls.ChainError` if the certificate lacks a requested name
        (``HOSTNAME_MISMATCH``; a wildcard does not stand for a name that was asked for) or its EKU excludes the role
        (``WRONG_EKU``; anyExtendedKeyUsage alone too, as in OpenSSL), with every such finding.
        Not checked: dates, signatures and trust of the chain; ``TLSProfile.check`` and ``verify`` do that.
        """
        listed = reply if isinstance(reply, (list, tuple)) else None
        source = Origin(reply, "reply", KeystoreError) if listed is None else None
        del reply  # it may hold a key by mistake, and a traceback may show local variables
        certificates = _load_certificates(source) if source else _listed_certificates(listed or ())
        ours = key_digest(self._private_key)
        digests = [_digest(one) for one in certificates]
        fitting = [one for one, digest in zip(certificates, digests, strict=True) if digest == ours]
        if not fitting:
            theirs = next((one for one in certificates if not _certificate.is_ca(one)), certificates[0])
            problem = (
                f"no certificate in it fits the private key {ours} (SHA-256 of the public key);"
                f" {_certificate.label(theirs)} is for the key {digests[certificates.index(theirs)]}"
            )
            remedy = "ask the CA for the answer to this CSR, or load the key that belongs to this certificate"
            name = "the reply" if source is None else source.name
            raise KeystoreError(problem, source=name, failure=SourceFailure.KEY_MISMATCH, remedy=remedy)
        faults = [self._faults(one) for one in fitting]
        best = min(range(len(fitting)), key=lambda i: (len(faults[i]), -fitting[i].not_valid_after_utc.timestamp()))
        if faults[best]:
            raise ChainError(faults[best])
        rest = [one for one in certificates if one not in fitting]
        return Keystore.from_objects(self._private_key, fitting[best], rest)

    def _faults(self, leaf: x509.Certificate) -> list[Finding]:
        """What was asked for and is not in the certificate."""
        found: list[Finding] = []

        def fault(failure: FailureReason, message: str, remedy: str, required: str, presented: str) -> None:
            found.append(
                Finding(
                    failure=failure,
                    severity=Severity.ERROR,
                    step=self.role.verified_at,
                    message=f"the certificate {_certificate.label(leaf)} {message}",
                    remedy=remedy,
                    certificate=leaf,
                    position=0,
                    required=required,
                    presented=presented,
                )
            )

        san = _certificate.extension(leaf, x509.SubjectAlternativeName)
        presented = [] if san is None else list(san)
        known = set(map(comparable, presented))
        if lost := [name for name in requested_names(self.csr) if comparable(name) not in known]:
            missing = ", ".join(map(name_text, lost))
            fault(
                FailureReason.HOSTNAME_MISMATCH,
                f"lacks names that were requested: {missing}",
                "ask the CA to issue it with every name of the CSR (many take only what their own form says)",
                missing,
                ", ".join(map(name_text, presented)) or "no subjectAltName",
            )
        eku = _certificate.extension(leaf, x509.ExtendedKeyUsage)
        if eku is not None and EKU_OF[self.role] not in eku:
            fault(
                FailureReason.WRONG_EKU,
                f"may not be used by a TLS {self.role.value}: its extended key usage lacks {self.role.eku}",
                f"ask the CA for a {self.role.value} certificate ({self.role.eku})",
                self.role.eku,
                ", ".join(_eku_name(oid) for oid in eku),
            )
        return found

    def __repr__(self) -> str:
        names = _certificate.printable(", ".join(self.names))
        return f"<CertificateRequest {self.role.value} {names or 'without names'}, key {key_digest(self.csr)[:16]}…>"

    def __reduce_ex__(self, _protocol: SupportsIndex) -> NoReturn:
        text = "a CertificateRequest holds a private key and is not pickled: use save_key(), save() and load()"
        raise UsageError(text)


def request_for(
    key: PrivateKey, names: Sequence[x509.GeneralName], role: Role, subject: x509.Name
) -> CertificateRequest:
    """The request for a key that is there already."""
    builder = x509.CertificateSigningRequestBuilder(subject)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not list(subject))
    builder = builder.add_extension(x509.ExtendedKeyUsage([EKU_OF[role]]), critical=False)
    builder = builder.add_extension(key_usage("digital_signature"), critical=True)
    return CertificateRequest(builder.sign(key, default_hash(key)), role, key)


def parse_role(role: Role | str) -> Role:
    """The role, also by its value."""
    try:
        return Role(role)
    except ValueError:
        text = f"role={role!r} is unknown; use Role.CLIENT or Role.SERVER"
        raise UsageError(text) from None


def key_usage(*usages: str) -> x509.KeyUsage:
    """The key usage extension with these usages and no other."""
    return x509.KeyUsage(**{usage: usage in usages for usage in _KEY_USAGES})


def _load_key(source: Origin, passphrase: Passphrase) -> PrivateKey:
    found = [block for block in pem.blocks(source.read()) if block.is_private_key]
    if not found:
        remedy = "give the file that save_key() wrote"
        raise source.refusal(SourceFailure.NO_KEY, "it holds no private key", remedy)
    if len(found) > 1:
        problem = f"it holds {len(found)} private keys"
        raise source.refusal(SourceFailure.SEVERAL_KEYS, problem, "give a file with the key of this CSR only")
    return keys.from_block(found[0], passphrase.for_one_load())


def _load_certificates(source: Origin) -> list[x509.Certificate]:
    found = [x509_objects.certificate(block) for block in pem.blocks(source.read()) if block.is_certificate]
    if not found:
        problem, remedy = "it holds no certificate", "give what the CA sent back, not the CSR or the key"
        raise source.refusal(SourceFailure.NO_CERTIFICATE, problem, remedy)
    return found


def _listed_certificates(listed: Sequence[object]) -> list[x509.Certificate]:
    certificates = [one for one in listed if isinstance(one, x509.Certificate)]
    if not certificates or len(certificates) != len(listed):
        text = "a reply is a path, PEM as bytes, or a list of x509.Certificate that is not empty"
        raise UsageError(text)
    return certificates


def _digest(certificate: x509.Certificate) -> str:
    digest = attempt(lambda: key_digest(certificate))
    return "(of an unknown kind)" if isinstance(digest, Refused) else digest


def _eku_name(oid: x509.ObjectIdentifier) -> str:
    known = {each: role.eku for role, each in EKU_OF.items()}
    return known.get(oid, "anyExtendedKeyUsage" if oid == _ANY_EKU else oid.dotted_string)
