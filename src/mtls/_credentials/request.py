"""From a new key to a certificate: key → CSR → certificate (PKCS#10, RFC 2986).

Rule: the key never leaves but for its file; only a certificate that fits it, with all that was asked for, comes back.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, SupportsIndex, TypeAlias, TypeVar
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from mtls import _certificate
from mtls._credentials import keys, pem, saving, x509_objects
from mtls._credentials.foreign import Refused, attempt
from mtls._credentials.formats import identify
from mtls._credentials.keystore import Keystore
from mtls._credentials.saving import Existing
from mtls._credentials.secret import Passphrase
from mtls._credentials.sources import Origin
from mtls._model import FailureReason, Finding, Role, Severity, SourceFailure
from mtls.errors import ChainError, KeystoreError, UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from mtls._credentials.keys import PrivateKey
    from mtls._credentials.secret import Password
    from mtls._credentials.sources import Named, Source

Name: TypeAlias = "str | x509.GeneralName"

EKU_OF = {Role.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH, Role.SERVER: ExtendedKeyUsageOID.SERVER_AUTH}
_COMMON_NAME_LENGTH = 64  # RFC 5280, appendix A: ub-common-name
_DNS_LENGTH = 253  # RFC 1035, 2.3.4, without the root
_LABELS_UNDER_WILDCARD = 2
_DNS_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)
_URI_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)  # RFC 3986, 3.1
_EMAIL_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}", re.ASCII)  # RFC 5321, 4.1.2 without quotes
_IDNA_DEVIATIONS = frozenset("ßς\u200c\u200d")  # UTS #46: IDNA 2003 and 2008 make different names of them

_CSR_LABELS = ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
_ANY_EKU = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
_KEY_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)
_E = TypeVar("_E", bound=x509.ExtensionType)


class KeyType(enum.StrEnum):
    """The kinds of private key that can be made."""

    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"
    EC_P521 = "ec-p521"
    ED25519 = "ed25519"
    ED448 = "ed448"


_CURVES = {KeyType.EC_P256: ec.SECP256R1(), KeyType.EC_P384: ec.SECP384R1(), KeyType.EC_P521: ec.SECP521R1()}


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
        return cls(parsed, _requested_role(parsed) if role is None else parse_role(role), private_key)

    @property
    def pem(self) -> bytes:
        """The CSR in PEM, to send to the CA. It is public."""
        return self.csr.public_bytes(Encoding.PEM)

    @property
    def names(self) -> tuple[str, ...]:
        """The names asked for: the values of the subjectAltName in their order, in ASCII (IDNA encoded)."""
        return tuple(map(name_text, _requested_names(self.csr)))

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
        known = set(map(_comparable, presented))
        if lost := [name for name in _requested_names(self.csr) if _comparable(name) not in known]:
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


def general_names(names: Iterable[Name]) -> list[x509.GeneralName]:
    """The names, parsed, each once, in their order."""
    if isinstance(names, (str, bytes, x509.GeneralName)) or not isinstance(names, Iterable):
        text = f"names= takes a list of names, not {names!r}; put it into brackets"
        raise UsageError(text)
    return list(dict.fromkeys(name if isinstance(name, x509.GeneralName) else _general_name(name) for name in names))


def default_subject(names: Sequence[x509.GeneralName]) -> x509.Name:
    """``CN=`` the first name, or no name at all where that is too long for one."""
    first = name_text(names[0])
    fits = 0 < len(first) <= _COMMON_NAME_LENGTH
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, first)] if fits else [])


def name_text(name: x509.GeneralName) -> str:
    """The name as people write it."""
    if isinstance(name, x509.DirectoryName):
        return name.value.rfc4514_string()
    if isinstance(name, x509.RegisteredID):
        return name.value.dotted_string
    return name.type_id.dotted_string if isinstance(name, x509.OtherName) else str(name.value)


def parse_role(role: Role | str) -> Role:
    """The role, also by its value."""
    try:
        return Role(role)
    except ValueError:
        text = f"role={role!r} is unknown; use Role.CLIENT or Role.SERVER"
        raise UsageError(text) from None


def generate_key(key_type: KeyType | str) -> PrivateKey:
    """A new private key."""
    try:
        wanted = KeyType(key_type)
    except ValueError:
        text = f"key_type={key_type!r} is unknown; use one of {', '.join(KeyType)}"
        raise UsageError(text) from None
    if wanted in _CURVES:
        return ec.generate_private_key(_CURVES[wanted])
    if wanted is KeyType.ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    if wanted is KeyType.ED448:
        return ed448.Ed448PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=int(wanted.value.removeprefix("rsa-")))


def default_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """The hash to sign with: as strong as the curve (RFC 5480, 4), and none for Ed25519 and Ed448 (RFC 8410)."""
    if isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, (ec.SECP384R1, ec.SECP521R1)):
        return hashes.SHA384() if isinstance(key.curve, ec.SECP384R1) else hashes.SHA512()
    return hashes.SHA256()


def key_usage(*usages: str) -> x509.KeyUsage:
    """The key usage extension with these usages and no other."""
    return x509.KeyUsage(**{usage: usage in usages for usage in _KEY_USAGES})


def key_digest(holder: PrivateKey | x509.Certificate | x509.CertificateSigningRequest) -> str:
    """The SHA-256 digest of the SubjectPublicKeyInfo, in hexadecimal: the same for a key and its certificate."""
    encoded = holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()


def requested(csr: x509.CertificateSigningRequest, kind: type[_E]) -> _E | None:
    """The extension that the CSR asks for, or ``None`` where it does not."""
    try:
        return csr.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _load_key(source: Origin, passphrase: Passphrase) -> PrivateKey:
    found = [block for block in pem.blocks(source.read()) if block.is_private_key]
    if not found:
        remedy = "give the file that save_key() wrote"
        raise source.refusal(SourceFailure.NO_KEY, "it holds no private key", remedy)
    if len(found) > 1:
        problem = f"it holds {len(found)} private keys"
        raise source.refusal(SourceFailure.SEVERAL_KEYS, problem, "give a file with the key of this CSR only")
    return keys.from_block(found[0], passphrase.for_one_load())


def load_csr(source: Origin) -> x509.CertificateSigningRequest:
    """The CSR in a source, PEM or DER, proven."""
    document = source.read()
    encoded = document.content
    if identify(encoded) != "request":
        found = [block for block in pem.blocks(document) if block.label in _CSR_LABELS]
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


def _requested_names(csr: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    return list(requested(csr, x509.SubjectAlternativeName) or ())


def _requested_role(csr: x509.CertificateSigningRequest) -> Role:
    eku = list(requested(csr, x509.ExtendedKeyUsage) or ())
    roles = [role for role, oid in EKU_OF.items() if oid in eku]
    if len(roles) != 1:
        text = "the CSR does not ask for exactly one of serverAuth and clientAuth; say which one with role="
        raise UsageError(text)
    return roles[0]


def _comparable(name: x509.GeneralName) -> object:
    return name.value.lower() if isinstance(name, x509.DNSName) else name


def _eku_name(oid: x509.ObjectIdentifier) -> str:
    known = {each: role.eku for role, each in EKU_OF.items()}
    return known.get(oid, "anyExtendedKeyUsage" if oid == _ANY_EKU else oid.dotted_string)


def _general_name(name: object) -> x509.GeneralName:
    if not isinstance(name, str):
        text = f"a name must be a str or an x509.GeneralName, not {type(name).__name__}"
        raise UsageError(text)
    if not name or not name.isprintable() or " " in name:
        raise _bad_name(name, "is empty or holds a space or a control character", "for a display name use subject=")
    if "://" in name:
        return _uri(name)
    if "@" in name:
        return _email(name)
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return x509.DNSName(_dns(name, name))
    if getattr(address, "scope_id", None):
        raise _bad_name(name, "has a zone, which no certificate can hold", "leave the % and what follows out")
    return x509.IPAddress(address)


def _uri(name: str) -> x509.GeneralName:
    try:
        host = urlsplit(name).hostname
    except ValueError:
        host = None
    if not host or not name.isascii() or not _URI_SCHEME.match(name):
        remedy = "write it as scheme://host/path, anything else percent-encoded (RFC 5280, 4.2.1.6)"
        raise _bad_name(name, "is no absolute URI with a host, in ASCII", remedy)
    return x509.UniformResourceIdentifier(name)


def _email(name: str) -> x509.GeneralName:
    local, _, domain = name.rpartition("@")
    if not _EMAIL_LOCAL.fullmatch(local) or "*" in domain:
        raise _bad_name(name, "is no e-mail address with an ASCII local part", "write it as name@example.com")
    return x509.RFC822Name(f"{local}@{_dns(domain, name)}")


def _dns(dns: str, name: str) -> str:
    """The DNS name in ASCII; ``name`` is what the caller wrote."""
    dns = dns if dns.isascii() else _idna(dns, name)
    labels = dns.split(".")
    if "*" in dns and (labels.pop(0) != "*" or "*" in "".join(labels) or len(labels) < _LABELS_UNDER_WILDCARD):
        remedy = "write *.example.com (RFC 9525, 6.3; OpenSSL matches nothing shorter)"
        raise _bad_name(name, "has a wildcard that is not the whole leftmost of three labels or more", remedy)
    if not all(map(_DNS_LABEL.fullmatch, labels)) or labels[-1].isdigit() or len(dns) > _DNS_LENGTH:
        remedy = "a DNS name has no port, path, brackets, trailing dot or label over 63 characters"
        raise _bad_name(name, "is neither a DNS name nor an IP address", remedy)
    return dns


def _idna(dns: str, name: str) -> str:
    if _IDNA_DEVIATIONS.isdisjoint(dns):
        with contextlib.suppress(UnicodeError):
            return dns.encode("idna").decode()
    problem = "has characters that IDNA cannot encode, or for which its editions of 2003 and 2008 differ"
    raise _bad_name(name, problem, "write its ASCII form (xn--…)")


def _bad_name(name: str, problem: str, remedy: str) -> UsageError:
    return UsageError(f"the name '{_certificate.printable(name)}' {problem}; {remedy}")
