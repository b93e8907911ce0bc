"""Line 8: what a verdict on a parsed chain costs, against the two verifiers that Python has.

Rule: all judge the same certificates of a server, parsed beforehand, for the same host name if they compare one. Ours
is measured twice: the checks that explain a chain, all of them, although an accepted one needs no signature of theirs;
and OpenSSL's verdict with what is remarked of an accepted chain.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from asn1crypto.x509 import Certificate as Asn1Certificate
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store
from pyhanko_certvalidator import CertificateValidator, ValidationContext

from benchmarks.material import EC, HOST, NAMES, RSA2048
from benchmarks.rounds import CONTROL, compare, progress
from benchmarks.table import ratio
from mtls import MOZILLA_INTERMEDIATE, ChainRules, EKUPolicy, Revocation, Role, TLSProfile, Truststore
from mtls._checks.chain import JudgedChain, explain_chain, remarks_on
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.rounds import Effort
    from benchmarks.table import Row
    from mtls import ClientProfile
    from mtls.authority import KeyType

_LINE = 8
_TURNS = 60
_CHAINS = ((EC, 1), (EC, 2), (RSA2048, 1))
"""The kind of the keys, and how many intermediates stand between the leaf and the root."""
_CHECKS, _VERDICT = {"cryptography": 1.1, "certvalidator": 0.25}, {"cryptography": 3.0, "certvalidator": 0.6}
"""What must be reached against each, for the checks alone and with OpenSSL's verdict."""


class _Sent(NamedTuple):
    """A chain as a server sends it, and the root that it leads to."""

    leaf: x509.Certificate
    intermediates: tuple[x509.Certificate, ...]
    root: x509.Certificate


def rows(effort: Effort) -> Iterator[Row]:
    """The checks, and the verdict with what is remarked, for each chain against each of the others."""
    for kind, length in _CHAINS:
        sent = _issued(kind, length)
        chain = f"{NAMES[kind]}, {length} intermediate{'' if length == 1 else 's'}"
        for against, make, ours in (
            ("cryptography", _cryptography, _ours(sent)),
            ("certvalidator", _certvalidator, _ours(sent)),
            ("certvalidator, both decode", _certvalidator_anew, _ours_anew(sent)),
        ):
            progress(f"8: verdict, {chain}, {against}")
            with make(sent) as other:
                # nothing runs right behind itself, where it would find its code and data in the caches
                variants = {"measure": other, "checks": ours["checks"], CONTROL: other, "remarks": ours["remarks"]}
                found = compare(variants | {"verdict": ours["verdict"]}, effort, turns=_TURNS)
            name = against.partition(",")[0]
            for metric, which, limit in (
                ("every check", "checks", _CHECKS[name]),
                ("remarks on an accepted chain", "remarks", None),
                ("verdict and remarks", "verdict", _VERDICT[name]),
            ):
                yield ratio(_LINE, f"{metric}, {chain}", against, found[which], control=found[CONTROL], limit=limit)


def _issued(kind: KeyType, length: int) -> _Sent:
    top = authority = CertificateAuthority("benchmark root", key_type=kind)
    for place in range(length):
        authority = authority.intermediate(f"benchmark issuer {place}", key_type=kind)
    held = authority.server(HOST, key_type=kind)
    return _Sent(held.certificate, held.chain, top.root)


def _ours(sent: _Sent) -> dict[str, Callable[[], object]]:
    chain = (sent.leaf, *sent.intermediates)
    judged = _judged(chain, sent.root)
    assert not explain_chain(judged)
    return {
        "checks": partial(explain_chain, judged),
        "remarks": partial(remarks_on, judged),
        "verdict": partial(_profile(sent).verify_peer, chain, HOST),
    }


def _ours_anew(sent: _Sent) -> dict[str, Callable[[], object]]:
    """The same for certificates that nobody has looked at before, as those of a peer are."""
    encoded = [certificate.public_bytes(Encoding.DER) for certificate in (sent.leaf, *sent.intermediates)]
    profile = _profile(sent)

    def loaded() -> tuple[x509.Certificate, ...]:
        return tuple(map(x509.load_der_x509_certificate, encoded))

    return {
        "checks": lambda: explain_chain(_judged(loaded(), sent.root)),
        "remarks": lambda: remarks_on(_judged(loaded(), sent.root)),
        "verdict": lambda: profile.verify_peer(loaded(), HOST),
    }


def _profile(sent: _Sent) -> ClientProfile:
    return TLSProfile.client(truststore=Truststore.from_certificates([sent.root]))


def _judged(chain: tuple[x509.Certificate, ...], root: x509.Certificate) -> JudgedChain:
    return JudgedChain(
        sent=chain,
        begun=(*chain, root),
        anchors=(root,),
        crls=(),
        role=Role.SERVER,
        now=datetime.now(UTC),
        policy=MOZILLA_INTERMEDIATE,
        eku=EKUPolicy.IF_PRESENT,
        chain_rules=ChainRules.STRICT,
        revocation=Revocation.OFF,
        hostname=HOST,
    )


@contextlib.contextmanager
def _cryptography(sent: _Sent) -> Iterator[Callable[[], object]]:
    """Its verifier, made once."""
    verifier = PolicyBuilder().store(Store([sent.root])).build_server_verifier(x509.DNSName(HOST))
    yield partial(verifier.verify, sent.leaf, list(sent.intermediates))


@contextlib.contextmanager
def _certvalidator(sent: _Sent) -> Iterator[Callable[[], object]]:
    """pyhanko-certvalidator with a new context for each chain, on an event loop that is there already. It compares no
    host name.
    """
    leaf, *intermediates, root = map(_asn1, (sent.leaf, *sent.intermediates, sent.root))
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        yield lambda: loop.run_until_complete(_validated(leaf, intermediates, root))


@contextlib.contextmanager
def _certvalidator_anew(sent: _Sent) -> Iterator[Callable[[], object]]:
    """The same with the certificates of the chain decoded each time, which asn1crypto does at the first use."""
    root = _asn1(sent.root)
    encoded = [certificate.public_bytes(Encoding.DER) for certificate in (sent.leaf, *sent.intermediates)]
    with asyncio.Runner() as runner:
        loop = runner.get_loop()

        def validate() -> object:
            leaf, *intermediates = map(Asn1Certificate.load, encoded)
            return loop.run_until_complete(_validated(leaf, intermediates, root))

        yield validate


async def _validated(leaf: Asn1Certificate, intermediates: Sequence[Asn1Certificate], root: Asn1Certificate) -> object:
    context = ValidationContext(trust_roots=[root], allow_fetching=False)
    validator = CertificateValidator(leaf, intermediate_certs=intermediates, validation_context=context)
    return await validator.async_validate_usage({"digital_signature"}, {"server_auth"})


def _asn1(certificate: x509.Certificate) -> Asn1Certificate:
    return Asn1Certificate.load(certificate.public_bytes(Encoding.DER))
