"""Why revocation stops a path: which CRL OpenSSL takes for each certificate, and what it finds in it.

Theory of operation. For one certificate OpenSSL looks at the CRLs in the name of its issuer. It passes over those of
another key and of a kind that it does not support, takes the best of the rest, and judges by that one alone, even where
another would do. The choice is made here in the same way, and every fault of the chosen list is told, in OpenSSL's
order. Stricter in one point: a delta CRL, which OpenSSL takes for a complete one, never counts, and is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from cryptography import x509

from mtls._certificate import (
    distance,
    extension,
    is_ca,
    is_self_issued,
    label,
    name,
    printable,
    same_name,
    serial_number,
    when,
)
from mtls._checks.crl_choice import in_date, needing_a_crl
from mtls._checks.crl_form import (
    crl_extension,
    is_delta,
    is_signed_by,
    signer_among,
    unknown_critical,
    unsupported,
)
from mtls._checks.crl_scope import EVERY_REASON, scope, why_out_of_scope
from mtls._credentials.foreign import Refused, attempt
from mtls._model import FailureReason, Finding, HandshakeStep, Revocation, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from cryptography.x509.extensions import ExtensionType

_E = TypeVar("_E", bound="ExtensionType")

OFF = "ask for revocation=Revocation.OFF by name"
_SHOWN = 3


def check_revocation(
    path: Sequence[x509.Certificate],
    crls: Sequence[x509.CertificateRevocationList],
    revocation: Revocation,
    *,
    step: HandshakeStep,
    now: datetime,
    anchored: bool = True,
) -> Iterator[Finding]:
    """REVOKED, CRL_EXPIRED, CRL_MISSING, WRONG_KEY_USAGE, BAD_SIGNATURE and UNKNOWN_CRITICAL_EXTENSION, all errors.

    ``path`` is the one that OpenSSL took, leaf first, anchor last; ``now`` is aware. The first finding means what
    OpenSSL's verify code means. Of a path that is not ``anchored`` the last certificate is left out, whose issuer, and
    so the key of its CRL, is not known.
    """
    known = path if anchored else path[:-1]
    for position, certificate in enumerate(needing_a_crl(known, revocation)):
        for fault in faults(sought_for(path, position), crls, now):
            about = fault.signer or certificate
            yield Finding(
                failure=fault.failure,
                severity=Severity.ERROR,
                step=step,
                message=f"{fault.text}, so {label(certificate)} is refused",
                remedy=fault.remedy,
                certificate=about,
                position=path.index(about),
                required=fault.required,
                presented=fault.presented,
            )


class Sought(NamedTuple):
    """What a CRL is looked for: a certificate, or (``None``) whatever the first of ``signers`` issued."""

    issuer: x509.Name
    signers: Sequence[x509.Certificate]
    """Who may have signed the CRL: the one right above in the path (above the anchor: itself), then the rest."""
    certificate: x509.Certificate | None


class Fault(NamedTuple):
    """What is wrong, as a sentence without its end; ``crls`` are the lists that it speaks of."""

    failure: FailureReason
    text: str
    remedy: str
    required: str
    presented: str
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    signer: x509.Certificate | None = None


def sought_for(path: Sequence[x509.Certificate], position: int) -> Sought:
    """What a CRL must speak about for the certificate at ``position`` of a path."""
    return Sought(path[position].issuer, path[min(position + 1, len(path) - 1) :], path[position])


def faults(sought: Sought, crls: Sequence[x509.CertificateRevocationList], now: datetime) -> Iterator[Fault]:
    """Every reason for which OpenSSL would refuse for want of a good CRL, or for what that CRL says."""
    named = [crl for crl in crls if same_name(crl.issuer, sought.issuer)]
    covered: frozenset[x509.ReasonFlags] = frozenset()
    found: list[Fault] = []
    while covered != EVERY_REASON and not found:
        chosen = _chosen(sought, named, covered, now)
        if chosen is None:
            found = list(_missing(sought, named, crls))
        else:
            found, covered = list(_of_chosen(sought, chosen, now)), covered | chosen.reasons
    yield from found
    told = [id(crl) for fault in found for crl in fault.crls]
    yield from (
        unusable(crl, why) for crl in named if id(crl) not in told and is_delta(crl) and (why := unsupported(crl))
    )


# --- which CRL OpenSSL takes ---


def passed_over(
    sought: Sought, crls: Sequence[x509.CertificateRevocationList], now: datetime
) -> list[x509.CertificateRevocationList]:
    """The lists that are out of date where the one that OpenSSL takes first is not."""
    named = [crl for crl in crls if same_name(crl.issuer, sought.issuer)]
    chosen = _chosen(sought, named, frozenset(), now)
    return [crl for crl in named if not in_date(crl, now)] if chosen is not None and in_date(chosen.crl, now) else []


class _Chosen(NamedTuple):
    """The CRL that decides, whose key must have signed it, and for which reasons of revocation it speaks."""

    crl: x509.CertificateRevocationList
    signer: x509.Certificate
    reasons: frozenset[x509.ReasonFlags]


def _chosen(
    sought: Sought,
    named: Sequence[x509.CertificateRevocationList],
    covered: frozenset[x509.ReasonFlags],
    now: datetime,
) -> _Chosen | None:
    """The best, as OpenSSL counts: no unknown critical extension, then in scope, in date, of the CA right above; of
    equals the newest, of equally new ones the first.
    """
    best, best_score = None, (False,) * 4
    for crl in named:
        signer, reasons = signer_among(crl, sought.signers), scope(crl, sought.certificate)
        if signer is None or unsupported(crl) is not None or (reasons and reasons <= covered):
            continue
        score = not unknown_critical(crl), bool(reasons), in_date(crl, now), signer is sought.signers[0]
        newer = best is not None and crl.last_update_utc > best.crl.last_update_utc
        if best is None or score > best_score or (score == best_score and newer):
            best, best_score = _Chosen(crl, signer, reasons), score
    return best


# --- what is wrong with it ---


def _of_chosen(sought: Sought, chosen: _Chosen, now: datetime) -> Iterator[Fault]:
    """In the order in which OpenSSL looks. What another may have written is not read."""
    crl, signer = chosen.crl, chosen.signer
    usage = extension(signer, x509.KeyUsage)
    if usage is not None and not usage.crl_sign:
        text = f"{label(signer)} may not sign CRLs: its keyUsage has no cRLSign"
        remedy = f"have the CA certificate issued anew with cRLSign, or {OFF}"
        yield Fault(FailureReason.WRONG_KEY_USAGE, text, remedy, "cRLSign", "a keyUsage without it", (crl,), signer)
    if not chosen.reasons:
        yield unusable(crl, why_out_of_scope(crl, sought.certificate))
    if (stale := out_of_date(crl, now)) is not None:
        yield stale
    if not is_signed_by(crl, signer):
        yield bad_signature(crl, signer)
    elif (strange := not_understood(crl)) is not None:
        yield strange
    elif sought.certificate is not None and chosen.reasons:
        yield from _revoked(sought.certificate, crl, now)


def out_of_date(crl: x509.CertificateRevocationList, now: datetime) -> Fault | None:
    """CRL_EXPIRED for a list that has ended or has not begun; ``None`` for one that is in date."""
    if in_date(crl, now):
        return None
    issuer, begins, ends = name(crl.issuer), crl.last_update_utc, crl.next_update_utc
    if ends is not None and ends <= now:
        text = f"the CRL of {issuer} ended on {when(ends)}, {distance(now - ends)} ago"
        remedy = f"fetch the current CRL of {issuer}"
    else:
        text = f"the CRL of {issuer} begins on {when(begins)}, in {distance(begins - now)}"
        remedy = f"set the clock of this machine right, or fetch the current CRL of {issuer}"
    presented = f"{when(begins)} to {'open' if ends is None else when(ends)}"
    return Fault(FailureReason.CRL_EXPIRED, text, remedy, f"valid at {when(now)}", presented, (crl,))


def not_understood(crl: x509.CertificateRevocationList) -> Fault | None:
    """UNKNOWN_CRITICAL_EXTENSION for a list that OpenSSL may not rely on (RFC 5280, 5.2)."""
    unknown = unknown_critical(crl)
    if not unknown:
        return None
    which = printable(", ".join(unknown))
    text = f"the CRL of {name(crl.issuer)} has a critical extension that OpenSSL does not know ({which})"
    remedy = f"ask the CA for a CRL without it, or {OFF}"
    required = "no critical extension but those of RFC 5280"
    return Fault(FailureReason.UNKNOWN_CRITICAL_EXTENSION, text, remedy, required, which, (crl,))


def bad_signature(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> Fault:
    """BAD_SIGNATURE: the list fits ``issuer`` in all but its signature."""
    text = f"the signature on the CRL of {name(crl.issuer)} does not verify with the key of {label(issuer)}"
    remedy = "get the CRL again from the CA: this one was changed, or a CA of that name with another key signed it"
    required = f"a CRL that {label(issuer)} signed"
    return Fault(FailureReason.BAD_SIGNATURE, text, remedy, required, "another signature", (crl,))


def unusable(crl: x509.CertificateRevocationList, why: str) -> Fault:
    """CRL_MISSING: there is a list, and ``why`` it does not count."""
    text, required = f"the CRL of {name(crl.issuer)} {why}", f"a complete CRL of {name(crl.issuer)}"
    return Fault(FailureReason.CRL_MISSING, text, f"ask the CA for its complete CRL, or {OFF}", required, why, (crl,))


def of_another_key(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> Fault:
    """CRL_MISSING: the list names another key than that of ``issuer``, whose name it bears."""
    keys = (
        _key_id(crl_extension(crl, x509.AuthorityKeyIdentifier)),
        _key_id(extension(issuer, x509.SubjectKeyIdentifier)),
    )
    text = f"the CRL of {name(crl.issuer)} is signed by another key than that of {label(issuer)}"
    remedy = "get the CRL that this CA signed with this key: one that changed its key publishes a list for each"
    return Fault(FailureReason.CRL_MISSING, text, remedy, f"key {keys[1]}", f"key {keys[0]}", (crl,))


def _key_id(identifier: x509.AuthorityKeyIdentifier | x509.SubjectKeyIdentifier | None) -> str:
    octets = None if identifier is None else identifier.key_identifier
    return "of a certificate with another serial number or issuer" if octets is None else printable(octets.hex(":"))


def _revoked(certificate: x509.Certificate, crl: x509.CertificateRevocationList, now: datetime) -> Iterator[Fault]:
    entry = attempt(lambda: crl.get_revoked_certificate_by_serial_number(certificate.serial_number))
    if entry is None or isinstance(entry, Refused):
        return
    reason = _entry_extension(entry, x509.CRLReason)
    other = _entry_extension(entry, x509.CertificateIssuer)
    if reason is not None and reason.reason is x509.ReasonFlags.remove_from_crl:
        return
    if other is not None and not any(
        same_name(each, certificate.issuer) for each in other.get_values_for_type(x509.DirectoryName)
    ):
        return
    at = entry.revocation_date_utc
    ago = f", {distance(now - at)} ago" if at <= now else ""
    why = "no reason given" if reason is None else reason.reason.value
    yield Fault(
        failure=FailureReason.REVOKED,
        text=f"{label(certificate)} was revoked by {name(crl.issuer)} on {when(at)}{ago} ({why})",
        remedy="do not rely on it: its owner must get a new certificate with a new key",
        required=f"a certificate that the CRL of {name(crl.issuer)} does not list",
        presented=printable(f"serial number {serial_number(certificate) or 0:x}, revoked on {when(at)}"),
        crls=(crl,),
    )


def _missing(
    sought: Sought,
    named: Sequence[x509.CertificateRevocationList],
    crls: Sequence[x509.CertificateRevocationList],
) -> Iterator[Fault]:
    """Why there is no CRL to choose, each cause once."""
    issuer, certificate = name(sought.issuer), sought.certificate
    if certificate is not None and sought.signers[0] == certificate and not is_self_issued(certificate):
        text = f"the path ends with {label(certificate)}, so nothing in it can say whether that was revoked"
        yield _none(text, _higher(certificate), f"{issuer} as the anchor, with its CRL", crls)
    elif not named:
        remedy = f"give its CRL with crls={_published_at(certificate)}, or {OFF}"
        yield _none(f"there is no CRL of {issuer}", remedy, f"a fresh CRL of {issuer}", crls)
    else:
        causes = {fault.text: fault for crl in named if (fault := _why_passed_over(crl, sought)) is not None}
        yield from list(causes.values())[:_SHOWN]
        if not causes:
            text = f"the certificate names distribution points of {issuer} for some reasons of revocation only"
            remedy = f"have it issued anew with a distribution point for every reason, or {OFF}"
            yield _none(text, remedy, "a CRL for every reason of revocation", crls)


def _why_passed_over(crl: x509.CertificateRevocationList, sought: Sought) -> Fault | None:
    if (why := unsupported(crl)) is not None:
        return unusable(crl, why)
    return of_another_key(crl, sought.signers[0]) if signer_among(crl, sought.signers) is None else None


def _none(text: str, remedy: str, required: str, crls: Sequence[x509.CertificateRevocationList]) -> Fault:
    others = list(dict.fromkeys(name(crl.issuer) for crl in crls))
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    presented = f"CRLs of {', '.join(others[:_SHOWN])}{more}" if others else "none"
    return Fault(FailureReason.CRL_MISSING, text, remedy, required, presented)


def _higher(certificate: x509.Certificate) -> str:
    if is_ca(certificate):
        return "trust the root above it, with the CRLs of both, or ask for revocation=Revocation.LEAF by name"
    return f"trust the CA that issued it, with its CRL, or {OFF}"


def _published_at(certificate: x509.Certificate | None) -> str:
    """Where the certificate says that its CRL is; nothing is fetched."""
    points = () if certificate is None else extension(certificate, x509.CRLDistributionPoints) or ()
    places = (each for point in points for each in point.full_name or ())
    uris = [printable(each.value) for each in places if isinstance(each, x509.UniformResourceIdentifier)]
    return f" (the certificate says that it is at {uris[0]})" if uris else ""


def _entry_extension(entry: x509.RevokedCertificate, kind: type[_E]) -> _E | None:
    found = attempt(lambda: entry.extensions.get_extension_for_class(kind).value)
    return None if isinstance(found, Refused) else found
