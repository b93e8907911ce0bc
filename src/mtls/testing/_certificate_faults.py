"""Every fault of a certificate, once for the client that shows it and once for the server.

Rule: a faulty certificate has exactly one fault, so whoever refuses it can only mean that one.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from mtls._model import FailureReason as F
from mtls._model import HandshakeStep, Role, Side, TLSVersion
from mtls.testing._catalogue import BOTH, Demand, Fault, FaultGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mtls.testing._scene import Scene


_LONGEST_NAME = 50
"""So that a word fits behind it: a common name has at most 64 characters."""


class _Kind(NamedTuple):
    """What is wrong with a certificate: ``{it}`` in the description is whose it is, ``{judge}`` who has to refuse."""

    id: str
    failure: F
    description: str
    stage: Callable[[Scene], None]
    demand: Demand | None = None
    server_versions: tuple[TLSVersion, ...] = BOTH


def _faults(role: Role, kinds: tuple[_Kind, ...]) -> Iterator[Fault]:
    for kind in kinds:
        yield Fault(
            id=f"{role.value}-{kind.id}",
            group=FaultGroup.CLIENT_CERTIFICATE if role is Role.CLIENT else FaultGroup.SERVER_CERTIFICATE,
            culprit=role,
            step=HandshakeStep.CLIENT_CERTIFICATE if kind.stage is _nothing else role.verified_at,
            failure=kind.failure,
            side=Side.LOCAL,
            told_by=role.other,
            description=kind.description.format(it=role.value, judge=role.other.value),
            versions=BOTH if role is Role.CLIENT else kind.server_versions,
            two_way_only=role is Role.CLIENT,
            demand=kind.demand,
            _stage=kind.stage,
        )


def _shows(**fields: Any) -> Callable[[Scene], None]:
    """A certificate of the authority with these fields."""
    return lambda scene: scene.show(scene.issue(**fields))


# --- what is shown ---


def _nothing(scene: Scene) -> None:
    scene.show(None)


def _of_a_stranger(scene: Scene) -> None:
    # with an intermediate: a lone leaf looks like one whose intermediate is missing, where names tell nothing
    scene.show(scene.issue(_authority("wayward root").intermediate("wayward issuing CA")))


def _of_an_impostor(scene: Scene) -> None:
    scene.must_be_trusted()  # else it is one more stranger
    name = scene.authority.certificate.subject
    scene.show(scene.issue(_authority("impostor", subject=name)))


def _self_signed(scene: Scene) -> None:
    from cryptography import x509

    from mtls._credentials.csr import EKU_OF
    from mtls._credentials.keystore import Keystore
    from mtls._credentials.request import key_usage

    own = _authority(
        f"self-signed {scene.fault.culprit.value}",
        names=scene.names,
        eku=[EKU_OF[scene.fault.culprit]],
        basic_constraints=x509.BasicConstraints(ca=False, path_length=None),
        key_usage=key_usage("digital_signature"),
    )
    scene.show(Keystore.from_objects(own._key, own.certificate))


def _expired(scene: Scene) -> None:
    scene.show(scene.issue(not_after=_days(-1)))


def _not_yet_valid(scene: Scene) -> None:
    scene.show(scene.issue(not_before=_days(1)))


def _for_the_other_role(scene: Scene) -> None:
    from mtls._credentials.csr import EKU_OF

    scene.show(scene.issue(eku=[EKU_OF[scene.fault.culprit.other]]))


def _for_no_handshake(scene: Scene) -> None:
    from mtls._credentials.request import key_usage

    scene.show(scene.issue(key_usage=key_usage("content_commitment")))


def _unknown_critical(scene: Scene) -> None:
    from cryptography import x509

    oid = x509.ObjectIdentifier("1.3.6.1.4.1.32473.1")  # the arc for examples (RFC 5612)
    unknown = x509.Extension(oid, critical=True, value=x509.UnrecognizedExtension(oid, b"\x05\x00"))
    scene.show(scene.issue(extensions=[unknown]))


def _without_its_intermediate(scene: Scene) -> None:
    from mtls._credentials.keystore import Keystore

    # of the same organisation by its name: what tells a missing intermediate from a CA that nobody knows
    keystore = scene.issue(scene.intermediate(f"{_common_name(scene.authority.certificate)} intermediate"))
    scene.show(Keystore.from_objects(keystore._private_key, keystore.certificate))


def _below_an_expired_ca(scene: Scene) -> None:
    scene.show(scene.issue(scene.intermediate(not_after=_days(-1))))


def _below_a_leaf(scene: Scene) -> None:
    from cryptography import x509

    from mtls._credentials.request import key_usage

    no_ca = x509.BasicConstraints(ca=False, path_length=None)
    scene.show(scene.issue(scene.intermediate(basic_constraints=no_ca, key_usage=key_usage("digital_signature"))))


def _below_too_many(scene: Scene) -> None:
    last = scene.intermediate("a CA for leaves only", path_length=0)
    below = last.intermediate("a CA too many")
    scene.add_crl_of(below)
    scene.show(scene.issue(below))


def _outside_the_constraints(scene: Scene) -> None:
    from cryptography import x509

    inside = x509.NameConstraints(permitted_subtrees=[x509.DNSName("inside.example")], excluded_subtrees=None)
    issuer = scene.intermediate(name_constraints=inside)
    scene.show(scene.issue(issuer, names=[*scene.names, x509.DNSName("outside.example")]))


def _changed(scene: Scene) -> None:
    from cryptography import x509

    from mtls import _certificate
    from mtls._credentials.keystore import Keystore

    keystore = scene.issue()
    content = bytearray(_certificate.der(keystore.certificate))
    content[-1] ^= 1
    changed = x509.load_der_x509_certificate(bytes(content))
    scene.show(Keystore.from_objects(keystore._private_key, changed, keystore.chain))


def _of_a_weak_key(scene: Scene) -> None:
    from dataclasses import replace

    scene.change(policy=replace(scene.culprit.policy, security_level=0))  # its own OpenSSL would not load it
    scene.show(scene.issue(private_key=_weak_key()))


# --- revocation ---


def _revoked(scene: Scene) -> None:
    serial = scene.listed_serial()
    scene.show(scene.issue(serial_number=serial))


def _below_a_revoked_ca(scene: Scene) -> None:
    serial = scene.listed_serial()
    scene.show(scene.issue(scene.intermediate(serial_number=serial)))


def _below_a_ca_without_crl(scene: Scene) -> None:
    scene.add_crls(scene.authority.truststore_with_crl().crls)
    scene.show(scene.issue(scene.authority.intermediate()))


def _with_an_old_crl(scene: Scene) -> None:
    why, remedy = "an outdated CRL is one of the other side, not of this certificate", "profile.check() finds it"
    scene.never_as_it_is(why, remedy)
    above = [crl for crl in scene.authority.truststore_with_crl().crls if crl.issuer != scene.authority.certificate.subject]
    scene.add_crls([scene.authority.crl(this_update=_days(-8), next_update=_days(-1)), *above])
    scene.judge_unchecked()
    scene.show(scene.issue())


# --- rules of the profile ---


def _not_on_the_list(scene: Scene) -> None:
    from mtls._handshake.peer_policy import PeerPolicy

    if scene.judge.authorize is None:
        scene.add("no authorize= says who may come in", "give one", authorize=PeerPolicy.dns("admitted.example"))
    if scene.fault.culprit is Role.CLIENT:
        scene.show(scene.issue(names=["intruder.example"]))
    else:
        scene.add("which servers it would refuse is not known", "test authorize= with a profile of your own")


def _of_any_use(scene: Scene) -> None:
    from mtls._model import EKUPolicy

    if scene.judge.eku is not EKUPolicy.REQUIRED:
        scene.add("an absent EKU means any use (RFC 5280, 4.2.1.12)", "ask for EKUPolicy.REQUIRED", eku=EKUPolicy.REQUIRED)
    scene.show(scene.issue(eku=()))


# --- names of a server ---


def _of_another_host(scene: Scene) -> None:
    scene.show(scene.issue(names=["another-host.example"]))


def _by_its_common_name(scene: Scene) -> None:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, scene.hostname[:64])])
    scene.show(scene.issue(names=(), subject=subject))


# --- what they are made of ---


def _authority(name: str, **fields: Any) -> Any:
    from mtls.authority import CertificateAuthority

    return CertificateAuthority(name, **fields)


def _days(count: int) -> Any:
    from datetime import UTC, datetime, timedelta

    return datetime.now(UTC) + timedelta(days=count)


def _common_name(certificate: Any) -> str:
    from cryptography.x509.oid import NameOID

    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value)[:_LONGEST_NAME] if found else "CA"


@cache
def _weak_key() -> Any:
    """An RSA key of 1024 bits: making one takes longer than a handshake."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=1024)


_OF_EITHER = (
    _Kind("unknown-ca", F.UNKNOWN_CA, "the {it}'s certificate is from a CA that the {judge} does not trust", _of_a_stranger),
    _Kind(
        "impostor-ca",
        F.UNKNOWN_CA,
        "the {it}'s certificate is from a CA with the name of the right one and another key",
        _of_an_impostor,
    ),
    _Kind("self-signed", F.SELF_SIGNED, "the {it} has signed its certificate itself", _self_signed),
    _Kind("expired", F.EXPIRED, "the {it}'s certificate ended yesterday", _expired),
    _Kind("not-yet-valid", F.NOT_YET_VALID, "the {it}'s certificate begins tomorrow", _not_yet_valid),
    _Kind("wrong-eku", F.WRONG_EKU, "the {it}'s certificate is one for a {judge} (extended key usage)", _for_the_other_role),
    _Kind(
        "wrong-key-usage",
        F.WRONG_KEY_USAGE,
        "the key of the {it}'s certificate may sign contents, and no handshake (key usage)",
        _for_no_handshake,
        server_versions=(TLSVersion.TLSv1_3,),  # in TLS 1.2 the server itself finds no cipher suite for such a key
    ),
    _Kind(
        "incomplete-chain",
        F.INCOMPLETE_CHAIN,
        "the {it} sends its certificate without the intermediate that issued it",
        _without_its_intermediate,
    ),
    _Kind("expired-intermediate", F.EXPIRED, "the intermediate above the {it}'s certificate ended yesterday", _below_an_expired_ca),
    _Kind("issued-by-a-leaf", F.NOT_A_CA, "what issued the {it}'s certificate is no CA", _below_a_leaf),
    _Kind("path-too-long", F.PATH_TOO_LONG, "the {it}'s chain has an intermediate below one that may issue leaves only", _below_too_many),
    _Kind("name-constraints", F.NAME_CONSTRAINTS, "the CA above the {it}'s certificate may not issue for its name", _outside_the_constraints),
    _Kind(
        "unknown-critical-extension",
        F.UNKNOWN_CRITICAL_EXTENSION,
        "the {it}'s certificate has a critical extension that nobody knows",
        _unknown_critical,
    ),
    _Kind(
        "missing-extension",
        F.MISSING_EXTENSION,
        "the {it}'s certificate does not name its issuer's key (authorityKeyIdentifier)",
        _shows(authority_key_identifier=None),
        Demand.STRICT,
    ),
    _Kind("bad-signature", F.BAD_SIGNATURE, "the {it}'s certificate was changed after its CA had signed it", _changed),
    _Kind("weak-key", F.WEAK_KEY, "the {it}'s key is RSA with 1024 bits", _of_a_weak_key),
    _Kind("revoked", F.REVOKED, "the {it}'s certificate is on its CA's list of revoked ones", _revoked, Demand.CRLS),
    _Kind("revoked-intermediate", F.REVOKED, "the intermediate above the {it}'s certificate is revoked", _below_a_revoked_ca, Demand.CRLS),
    _Kind("crl-missing", F.CRL_MISSING, "for the CA of the {it}'s certificate the {judge} has no CRL", _below_a_ca_without_crl, Demand.CRLS),
    _Kind("crl-expired", F.CRL_EXPIRED, "the {judge}'s CRL for the CA of the {it}'s certificate is out of date", _with_an_old_crl, Demand.CRLS),
    _Kind("not-authorized", F.NOT_AUTHORIZED, "the {it}'s certificate is good, and its name is not on the {judge}'s list", _not_on_the_list, Demand.AUTHORIZE),
    _Kind("eku-absent", F.WRONG_EKU, "the {it}'s certificate names no use, and the {judge} demands that it does", _of_any_use, Demand.EKU_REQUIRED),
)  # fmt: skip

_OF_A_CLIENT = (_Kind("no-certificate", F.CERTIFICATE_REQUIRED, "the client shows no certificate", _nothing),)

_OF_A_SERVER = (
    _Kind("wrong-host", F.HOSTNAME_MISMATCH, "the server's certificate is for another host", _of_another_host),
    _Kind(
        "common-name-only",
        F.HOSTNAME_MISMATCH,
        "the server's certificate has its name as common name only, without a subjectAltName",
        _by_its_common_name,
    ),
)

FAULTS = (
    *_faults(Role.CLIENT, (*_OF_A_CLIENT, *_OF_EITHER)),
    *_faults(Role.SERVER, (*_OF_EITHER, *_OF_A_SERVER)),
)
