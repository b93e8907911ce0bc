"""Mutual TLS whose failures name the handshake step, the side that refused, the reason and the remedy.

The way of the data: sources -> ``Keystore`` and ``Truststore`` -> ``TLSProfile`` -> ``Report`` -> ``TLSContext`` ->
connection -> ``PeerIdentity`` or ``HandshakeError``. The map of the package:

``_model``, ``_policy``, ``errors``
    the vocabulary: steps, failures, findings, options; named policies; every exception
``_credentials``
    what we hold: keys and certificates, trust anchors, requests for certificates
``_checks``
    what is known beforehand; pure
``_handshake``
    what happens on the wire: the sealed context, the hooks, the diagnosis
``_profile``
    a role with its rules
``_rehearsal``
    a whole handshake that we run ourselves: in memory, or with a real server
``_verification``, ``_inspection``
    OpenSSL's verdict with what explains it: on the chain of a peer, on our own side
``authority``, ``testing``, ``cli``
    certificates for development and tests; faults to test settings with, and a pytest plugin; ``python -m mtls``

Everything here is loaded at its first use, so ``import mtls`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtls._credentials.key_types import KeyType as KeyType
    from mtls._credentials.keystore import Keystore as Keystore
    from mtls._credentials.request import CertificateRequest as CertificateRequest
    from mtls._credentials.saving import Existing as Existing
    from mtls._credentials.truststore import Truststore as Truststore
    from mtls._handshake.context import TLSContext as TLSContext
    from mtls._handshake.explain import explain as explain
    from mtls._handshake.following import ContextStatus as ContextStatus
    from mtls._handshake.following import Reload as Reload
    from mtls._handshake.peer import PeerIdentity as PeerIdentity
    from mtls._handshake.peer_identity import peer_identity as peer_identity
    from mtls._handshake.peer_policy import PeerPolicy as PeerPolicy
    from mtls._handshake.trace import Direction as Direction
    from mtls._handshake.trace import TraceEvent as TraceEvent
    from mtls._handshake.tracing import Trace as Trace
    from mtls._model import AnchorKind as AnchorKind
    from mtls._model import ChainRules as ChainRules
    from mtls._model import ClientAuth as ClientAuth
    from mtls._model import EKUPolicy as EKUPolicy
    from mtls._model import Evidence as Evidence
    from mtls._model import FailureReason as FailureReason
    from mtls._model import Finding as Finding
    from mtls._model import HandshakeStep as HandshakeStep
    from mtls._model import Phase as Phase
    from mtls._model import Revocation as Revocation
    from mtls._model import Role as Role
    from mtls._model import ServerIdentity as ServerIdentity
    from mtls._model import Severity as Severity
    from mtls._model import Side as Side
    from mtls._model import SourceFailure as SourceFailure
    from mtls._model import TLSVersion as TLSVersion
    from mtls._model import Verdict as Verdict
    from mtls._policy import BCP195 as BCP195
    from mtls._policy import MOZILLA_INTERMEDIATE as MOZILLA_INTERMEDIATE
    from mtls._policy import MOZILLA_MODERN as MOZILLA_MODERN
    from mtls._policy import NIST_800_52R2 as NIST_800_52R2
    from mtls._policy import TLSPolicy as TLSPolicy
    from mtls._profile import ClientProfile as ClientProfile
    from mtls._profile import ServerProfile as ServerProfile
    from mtls._profile import TLSProfile as TLSProfile
    from mtls._rehearsal.probe import probe as probe
    from mtls._rehearsal.rehearsal import rehearse as rehearse
    from mtls._rehearsal.result import Handshake as Handshake
    from mtls._rehearsal.result import HandshakeSide as HandshakeSide
    from mtls._report import Report as Report
    from mtls._verification import verify as verify
    from mtls._verified_chain import VerifiedChain as VerifiedChain
    from mtls.errors import ChainError as ChainError
    from mtls.errors import ChainSourceError as ChainSourceError
    from mtls.errors import ConfigurationError as ConfigurationError
    from mtls.errors import HandshakeError as HandshakeError
    from mtls.errors import HandshakeTimeoutError as HandshakeTimeoutError
    from mtls.errors import KeystoreError as KeystoreError
    from mtls.errors import MissingExtraError as MissingExtraError
    from mtls.errors import MTLSError as MTLSError
    from mtls.errors import PeerVerificationError as PeerVerificationError
    from mtls.errors import SealedContextError as SealedContextError
    from mtls.errors import SourceError as SourceError
    from mtls.errors import TruststoreError as TruststoreError
    from mtls.errors import UsageError as UsageError
    from mtls.errors import VerdictUnavailableError as VerdictUnavailableError

_HOMES = {
    "_credentials.key_types": ("KeyType",),
    "_credentials.keystore": ("Keystore",),
    "_credentials.request": ("CertificateRequest",),
    "_credentials.saving": ("Existing",),
    "_credentials.truststore": ("Truststore",),
    "_handshake.context": ("TLSContext",),
    "_handshake.explain": ("explain",),
    "_handshake.following": ("ContextStatus", "Reload"),
    "_handshake.peer": ("PeerIdentity",),
    "_handshake.peer_identity": ("peer_identity",),
    "_handshake.peer_policy": ("PeerPolicy",),
    "_handshake.trace": ("Direction", "TraceEvent"),
    "_handshake.tracing": ("Trace",),
    "_rehearsal.result": ("Handshake", "HandshakeSide"),
    "_model": (
        "AnchorKind",
        "ChainRules",
        "ClientAuth",
        "EKUPolicy",
        "Evidence",
        "FailureReason",
        "Finding",
        "HandshakeStep",
        "Phase",
        "Revocation",
        "Role",
        "ServerIdentity",
        "Severity",
        "Side",
        "SourceFailure",
        "TLSVersion",
        "Verdict",
    ),
    "_policy": ("BCP195", "MOZILLA_INTERMEDIATE", "MOZILLA_MODERN", "NIST_800_52R2", "TLSPolicy"),
    "_profile": ("ClientProfile", "ServerProfile", "TLSProfile"),
    "_rehearsal.probe": ("probe",),
    "_rehearsal.rehearsal": ("rehearse",),
    "_report": ("Report",),
    "_verification": ("verify",),
    "_verified_chain": ("VerifiedChain",),
    "errors": (
        "ChainError",
        "ChainSourceError",
        "ConfigurationError",
        "HandshakeError",
        "HandshakeTimeoutError",
        "KeystoreError",
        "MTLSError",
        "MissingExtraError",
        "PeerVerificationError",
        "SealedContextError",
        "SourceError",
        "TruststoreError",
        "UsageError",
        "VerdictUnavailableError",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605 - a list, of the names above and said once


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        text = f"module 'mtls' has no attribute {name!r}"
        raise AttributeError(text)
    import importlib

    value = getattr(importlib.import_module(f"mtls.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
