"""Tests of TLS settings: faults to put into a good pair, assertions, servers, audits; and a plugin for pytest.

The map of the package:

``_catalogue``, ``_certificate_faults``, ``_negotiation_faults``, ``_wire_faults``
    what a fault is, and all of them: ``FAULTS``
``_scene``, ``_pair``, ``_cut``, ``_wire``
    the stage of a fault, and what happens on the wire
``_raises``, ``_assertions``, ``_audit``
    what a test says of a profile; what it finds out about anything else that speaks TLS
``_server``, ``_line``, ``_http``
    real servers on the loopback interface, good and faulty ones
``pytest_plugin``
    fixtures and a marker; nothing else here knows pytest

Everything is loaded at its first use, so importing this costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtls.testing._assertions import assert_accepts as assert_accepts
    from mtls.testing._assertions import assert_mutual as assert_mutual
    from mtls.testing._assertions import assert_refuses as assert_refuses
    from mtls.testing._assertions import assert_valid_for as assert_valid_for
    from mtls.testing._audit import audit as audit
    from mtls.testing._audit_report import AuditOutcome as AuditOutcome
    from mtls.testing._audit_report import AuditReport as AuditReport
    from mtls.testing._audit_report import AuditResult as AuditResult
    from mtls.testing._authorities import Authority as Authority
    from mtls.testing._authorities import TrustmeCA as TrustmeCA
    from mtls.testing._authorities import TrustmeLeaf as TrustmeLeaf
    from mtls.testing._authorities import authority_from_trustme as authority_from_trustme
    from mtls.testing._authorities import keystore_from_trustme as keystore_from_trustme
    from mtls.testing._catalogue import Demand as Demand
    from mtls.testing._catalogue import Fault as Fault
    from mtls.testing._catalogue import FaultGroup as FaultGroup
    from mtls.testing._catalogue import Faults as Faults
    from mtls.testing._faults import FAULTS as FAULTS
    from mtls.testing._raises import Raised as Raised
    from mtls.testing._raises import raises as raises
    from mtls.testing._scene import NotApplicableError as NotApplicableError
    from mtls.testing._server import LoopbackServer as LoopbackServer

_HOMES = {
    "_assertions": ("assert_accepts", "assert_mutual", "assert_refuses", "assert_valid_for"),
    "_audit": ("audit",),
    "_audit_report": ("AuditOutcome", "AuditReport", "AuditResult"),
    "_authorities": ("Authority", "TrustmeCA", "TrustmeLeaf", "authority_from_trustme", "keystore_from_trustme"),
    "_catalogue": ("Demand", "Fault", "FaultGroup", "Faults"),
    "_faults": ("FAULTS",),
    "_raises": ("Raised", "raises"),
    "_scene": ("NotApplicableError",),
    "_server": ("LoopbackServer",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605 - a list, of the names above and said once


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        text = f"module 'mtls.testing' has no attribute {name!r}"
        raise AttributeError(text)
    import importlib

    value = getattr(importlib.import_module(f"mtls.testing.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
