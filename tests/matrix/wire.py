"""What goes over the wire, seen without one line of the library: is the table of alerts true?

Rule: a plain ``ssl`` context with a message callback, where the matrix has a context of ours; all else is the same.
"""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING, Any

import mtls
from tests.matrix import alerts
from tests.matrix.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.matrix.cells import Cell
    from tests.matrix.pki import Identity

_ALERT = 21
_ENDS = {"close_notify", "user_canceled"}  # Java says both where a connection is over (FACTS M24)
_SILENT = {alerts.PAGE, alerts.ACCEPTS, alerts.ENDS, alerts.CLOSES}


def visible(cells: Iterable[Cell]) -> list[Cell]:
    """The cells in which the peer is the one to say something: each once, and whoever reads first loses no alert."""
    first: dict[object, Cell] = {}
    for cell in cells:
        if cell.cut is None:
            first.setdefault((cell.peer, cell.role, cell.version, cell.fault.key), cell)
    return [cell for cell in first.values() if alerts.said(cell) not in {"", alerts.NO_HELLO}]


class Wire:
    """Runs cells of a laboratory with contexts of the standard library."""

    def __init__(self, lab: Lab) -> None:
        self._lab = _PlainLab(lab)

    def wrong(self, cell: Cell) -> str:
        """How what was heard differs from the table; empty if it does not."""
        heard = self._lab.alerts(cell)
        said = alerts.said(cell)
        if heard == ([] if said in _SILENT else [said]):
            return ""
        return f"{cell}: the table has {said}, heard {heard}"


class _PlainLab(Lab):
    """A running laboratory whose own side is not ours."""

    def __init__(self, lab: Lab) -> None:
        self.__dict__.update(lab.__dict__)
        self._heard = threading.local()
        identities = (*lab.pki.clients.values(), *lab.pki.servers.values())
        self._files: dict[int, Identity] = {id(identity.keystore): identity for identity in identities}

    def alerts(self, cell: Cell) -> list[str]:
        """What the peer said."""
        self._heard.names = []
        self.run(cell)
        return [name for name in self._heard.names if name not in _ENDS]

    def context(self, profile: mtls.TLSProfile) -> ssl.SSLContext:
        """As the profile says, by hand."""
        client = profile.role is mtls.Role.CLIENT
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if client else ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion(profile.policy.minimum_version)
        context.maximum_version = ssl.TLSVersion(profile.policy.maximum_version)
        context.set_ciphers(profile.policy.cipher_string)
        if profile.keystore is not None:
            identity = self._files[id(profile.keystore)]
            context.load_cert_chain(identity.certificate, identity.key)
        context.load_verify_locations(self.pki.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        if profile.alpn:
            context.set_alpn_protocols(list(profile.alpn))
        names: list[str] = self._heard.names

        def note(_: object, direction: str, __: object, content: int, kind: Any, ___: bytes) -> None:
            if direction == "read" and int(content) == _ALERT:
                names.append(kind.name.lower())

        context._msg_callback = note  # type: ignore[attr-defined] # not in typeshed
        return context
