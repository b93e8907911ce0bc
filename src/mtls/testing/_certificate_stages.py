"""How each fault of a certificate is put into a good pair.

Rule: a faulty certificate has exactly one fault, so whoever refuses it can only mean that one. What makes certificates
is imported when a fault runs: the catalogue is read when tests are collected.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from mtls._model import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from mtls.testing._scene import Scene

_LONGEST_NAME = 50
"""So that a word fits behind it: a common name has at most 64 characters."""


def shows(**fields: Any) -> Callable[[Scene], None]:
    """A certificate of the authority with these fields."""
    return lambda scene: scene.show(scene.issue(**fields))


# --- what is shown ---


def nothing(scene: Scene) -> None:
    scene.show(None)


def of_a_stranger(scene: Scene) -> None:
    # with an intermediate: a lone leaf looks like one whose intermediate is missing, where names tell nothing
    scene.show(scene.issue(_authority("wayward root").intermediate("wayward issuing CA")))


def of_an_impostor(scene: Scene) -> None:
    scene.show(scene.issue(_authority("impostor", subject=scene.anchor().subject)))


def self_signed(scene: Scene) -> None:
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


def expired(scene: Scene) -> None:
    scene.show(scene.issue(not_after=_days(-1)))


def not_yet_valid(scene: Scene) -> None:
    scene.show(scene.issue(not_before=_days(1)))


def for_the_other_role(scene: Scene) -> None:
    from mtls._credentials.csr import EKU_OF

    scene.show(scene.issue(eku=[EKU_OF[scene.fault.culprit.other]]))


def for_no_handshake(scene: Scene) -> None:
    from mtls._credentials.request import key_usage

    scene.show(scene.issue(key_usage=key_usage("content_commitment")))


def unknown_critical(scene: Scene) -> None:
    from cryptography import x509

    oid = x509.ObjectIdentifier("1.3.6.1.4.1.32473.1")  # the arc for examples (RFC 5612)
    unknown = x509.Extension(oid, critical=True, value=x509.UnrecognizedExtension(oid, b"\x05\x00"))
    scene.show(scene.issue(extensions=[unknown]))


def without_its_intermediate(scene: Scene) -> None:
    from mtls._credentials.keystore import Keystore

    # of the same organisation by its name: what tells a missing intermediate from a CA that nobody knows
    keystore = scene.issue(scene.intermediate(f"{_common_name(scene.authority.certificate)} intermediate"))
    scene.show(Keystore.from_objects(keystore._private_key, keystore.certificate))


def below_an_expired_ca(scene: Scene) -> None:
    scene.show(scene.issue(scene.intermediate(not_after=_days(-1))))


def below_a_leaf(scene: Scene) -> None:
    from cryptography import x509

    from mtls._credentials.request import key_usage

    no_ca = x509.BasicConstraints(ca=False, path_length=None)
    scene.show(scene.issue(scene.intermediate(basic_constraints=no_ca, key_usage=key_usage("digital_signature"))))


def below_too_many(scene: Scene) -> None:
    last = scene.intermediate("a CA for leaves only", path_length=0)
    below = last.intermediate("a CA too many")
    scene.add_crl_of(below)
    scene.show(scene.issue(below))


def outside_the_constraints(scene: Scene) -> None:
    from cryptography import x509

    inside = x509.NameConstraints(permitted_subtrees=[x509.DNSName("inside.example")], excluded_subtrees=None)
    issuer = scene.intermediate(name_constraints=inside)
    scene.show(scene.issue(issuer, names=[*scene.names, x509.DNSName("outside.example")]))


def changed(scene: Scene) -> None:
    from cryptography import x509

    from mtls import _certificate
    from mtls._credentials.keystore import Keystore

    keystore = scene.issue()
    content = bytearray(_certificate.der(keystore.certificate))
    content[-1] ^= 1
    chain = keystore._chain._replace(leaf=x509.load_der_x509_certificate(bytes(content)))
    key, pem = keystore._private_key, keystore._key_pem
    scene.show(Keystore._made(_chain=chain, _key_pem=pem, _private_key=key, _recipe=None))  # no constructor takes it


def of_a_weak_key(scene: Scene) -> None:
    from dataclasses import replace

    scene.change(policy=replace(scene.culprit.policy, security_level=0))  # its own OpenSSL would not load it
    scene.show(scene.issue(private_key=_weak_key()))


# --- revocation ---


def revoked(scene: Scene) -> None:
    serial = scene.listed_serial()
    scene.show(scene.issue(serial_number=serial))


def below_a_revoked_ca(scene: Scene) -> None:
    serial = scene.listed_serial()
    scene.show(scene.issue(scene.intermediate(serial_number=serial)))


def below_a_ca_without_crl(scene: Scene) -> None:
    scene.add_crls(scene.authority.truststore_with_crl().crls)
    scene.show(scene.issue(scene.authority.intermediate()))


def with_an_old_crl(scene: Scene) -> None:
    why, remedy = "an outdated CRL is one of the other side, not of this certificate", "profile.check() finds it"
    scene.never_as_it_is(why, remedy)
    above = [
        crl for crl in scene.authority.truststore_with_crl().crls if crl.issuer != scene.authority.certificate.subject
    ]
    scene.add_crls([scene.authority.crl(this_update=_days(-8), next_update=_days(-1)), *above])
    scene.judge_unchecked()
    scene.show(scene.issue())


# --- rules of the profile ---


def not_on_the_list(scene: Scene) -> None:
    from mtls._handshake.peer_policy import PeerPolicy

    if scene.judge.authorize is None:
        scene.add("no authorize= says who may come in", "give one", authorize=PeerPolicy.dns("admitted.example"))
    if scene.fault.culprit is Role.CLIENT:
        scene.show(scene.issue(names=["intruder.example"]))
    else:
        scene.add("which servers it would refuse is not known", "test authorize= with a profile of your own")


def of_any_use(scene: Scene) -> None:
    from mtls._model import EKUPolicy

    if scene.judge.eku is not EKUPolicy.REQUIRED:
        scene.add(
            "an absent EKU means any use (RFC 5280, 4.2.1.12)", "ask for EKUPolicy.REQUIRED", eku=EKUPolicy.REQUIRED
        )
    scene.show(scene.issue(eku=()))


# --- names of a server ---


def of_another_host(scene: Scene) -> None:
    scene.show(scene.issue(names=["another-host.example"]))


def by_its_common_name(scene: Scene) -> None:
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

    return rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - the fault itself
