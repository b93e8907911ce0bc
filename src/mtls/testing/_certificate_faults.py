"""Every fault of a certificate, once for the client that shows it and once for the server.

Rule: a faulty certificate has exactly one fault, so whoever refuses it can only mean that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mtls._model import FailureReason as F
from mtls._model import HandshakeStep, Role, Side, TLSVersion
from mtls.testing import _certificate_stages as stages
from mtls.testing._catalogue import BOTH, Demand, Fault, FaultGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mtls.testing._scene import Scene


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
            step=HandshakeStep.CLIENT_CERTIFICATE if kind.stage is stages.nothing else role.verified_at,
            failure=kind.failure,
            side=Side.LOCAL,
            told_by=role.other,
            description=kind.description.format(it=role.value, judge=role.other.value),
            versions=BOTH if role is Role.CLIENT else kind.server_versions,
            two_way_only=role is Role.CLIENT,
            demand=kind.demand,
            _stage=kind.stage,
        )


_OF_EITHER = (
    _Kind(
        "unknown-ca",
        F.UNKNOWN_CA,
        "the {it}'s certificate is from a CA that the {judge} does not trust",
        stages.of_a_stranger,
    ),
    _Kind(
        "impostor-ca",
        F.UNKNOWN_CA,
        "the {it}'s certificate is from a CA with the name of the right one and another key",
        stages.of_an_impostor,
    ),
    _Kind("self-signed", F.SELF_SIGNED, "the {it} has signed its certificate itself", stages.self_signed),
    _Kind("expired", F.EXPIRED, "the {it}'s certificate ended yesterday", stages.expired),
    _Kind("not-yet-valid", F.NOT_YET_VALID, "the {it}'s certificate begins tomorrow", stages.not_yet_valid),
    _Kind(
        "wrong-eku",
        F.WRONG_EKU,
        "the {it}'s certificate is one for a {judge} (extended key usage)",
        stages.for_the_other_role,
    ),
    _Kind(
        "wrong-key-usage",
        F.WRONG_KEY_USAGE,
        "the key of the {it}'s certificate may sign contents, and no handshake (key usage)",
        stages.for_no_handshake,
        server_versions=(TLSVersion.TLSv1_3,),  # in TLS 1.2 the server itself finds no cipher suite for such a key
    ),
    _Kind(
        "incomplete-chain",
        F.INCOMPLETE_CHAIN,
        "the {it} sends its certificate without the intermediate that issued it",
        stages.without_its_intermediate,
    ),
    _Kind(
        "expired-intermediate",
        F.EXPIRED,
        "the intermediate above the {it}'s certificate ended yesterday",
        stages.below_an_expired_ca,
    ),
    _Kind("issued-by-a-leaf", F.NOT_A_CA, "what issued the {it}'s certificate is no CA", stages.below_a_leaf),
    _Kind(
        "path-too-long",
        F.PATH_TOO_LONG,
        "the {it}'s chain has an intermediate below one that may issue leaves only",
        stages.below_too_many,
    ),
    _Kind(
        "name-constraints",
        F.NAME_CONSTRAINTS,
        "the CA above the {it}'s certificate may not issue for its name",
        stages.outside_the_constraints,
    ),
    _Kind(
        "unknown-critical-extension",
        F.UNKNOWN_CRITICAL_EXTENSION,
        "the {it}'s certificate has a critical extension that nobody knows",
        stages.unknown_critical,
    ),
    _Kind(
        "missing-extension",
        F.MISSING_EXTENSION,
        "the {it}'s certificate does not name its issuer's key (authorityKeyIdentifier)",
        stages.shows(authority_key_identifier=None),
        Demand.STRICT,
    ),
    _Kind(
        "bad-signature",
        F.BAD_SIGNATURE,
        "the {it}'s certificate was changed after its CA had signed it",
        stages.changed,
    ),
    _Kind("weak-key", F.WEAK_KEY, "the {it}'s key is RSA with 1024 bits", stages.of_a_weak_key),
    _Kind(
        "revoked", F.REVOKED, "the {it}'s certificate is on its CA's list of revoked ones", stages.revoked, Demand.CRLS
    ),
    _Kind(
        "revoked-intermediate",
        F.REVOKED,
        "the intermediate above the {it}'s certificate is revoked",
        stages.below_a_revoked_ca,
        Demand.CRLS,
    ),
    _Kind(
        "crl-missing",
        F.CRL_MISSING,
        "for the CA of the {it}'s certificate the {judge} has no CRL",
        stages.below_a_ca_without_crl,
        Demand.CRLS,
    ),
    _Kind(
        "crl-expired",
        F.CRL_EXPIRED,
        "the {judge}'s CRL for the CA of the {it}'s certificate is out of date",
        stages.with_an_old_crl,
        Demand.CRLS,
    ),
    _Kind(
        "not-authorized",
        F.NOT_AUTHORIZED,
        "the {it}'s certificate is good, and its name is not on the {judge}'s list",
        stages.not_on_the_list,
        Demand.AUTHORIZE,
    ),
    _Kind(
        "eku-absent",
        F.WRONG_EKU,
        "the {it}'s certificate names no use, and the {judge} demands that it does",
        stages.of_any_use,
        Demand.EKU_REQUIRED,
    ),
)

_OF_A_CLIENT = (_Kind("no-certificate", F.CERTIFICATE_REQUIRED, "the client shows no certificate", stages.nothing),)

_OF_A_SERVER = (
    _Kind("wrong-host", F.HOSTNAME_MISMATCH, "the server's certificate is for another host", stages.of_another_host),
    _Kind(
        "common-name-only",
        F.HOSTNAME_MISMATCH,
        "the server's certificate has its name as common name only, without a subjectAltName",
        stages.by_its_common_name,
    ),
)

FAULTS = (
    *_faults(Role.CLIENT, (*_OF_A_CLIENT, *_OF_EITHER)),
    *_faults(Role.SERVER, (*_OF_EITHER, *_OF_A_SERVER)),
)
