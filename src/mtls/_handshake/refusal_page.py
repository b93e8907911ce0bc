"""The pages by which web servers refuse a client for its certificate, after a handshake that ended well.

Rule: only what the page itself says of certificates counts; any other 400 or 403 is the application's own and gives
``None``. OpenSSL's message texts are never matched in this library, because there are codes; a page has nothing but its
text and its status, so here it is the text. nginx never fails a handshake for a client certificate: it answers 400
with a title of its own (``ngx_http_special_response.c``), and has the statuses 495 and 496, which HAProxy's and other
configurations borrow. Apache answers 403 where it may ask for a certificate only after the handshake (TLS 1.3). What
nginx, HAProxy and Apache answer to a client that they do not admit is a bare 403, which anybody may send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mtls._model import FailureReason, HandshakeStep

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOKED_AT = 4096
"""How many bytes of a page are looked at: the pages in question have about 300."""


class Refusal(NamedTuple):
    """What a page says of our certificate."""

    step: HandshakeStep | None
    """5 if none came, 6 if it was refused; ``None`` where that contradicts what we know to have sent."""
    failure: FailureReason
    because: str
    """What the page said, for :attr:`HandshakeError.because`."""


class _Kind(NamedTuple):
    step: HandshakeStep
    failure: FailureReason
    says: str
    shown: bool
    """Whether it makes sense only where our certificate was shown, or only where it was not."""


_NONE_CAME = (HandshakeStep.CLIENT_CERTIFICATE, FailureReason.CERTIFICATE_REQUIRED)
_REFUSED = (HandshakeStep.SERVER_VERIFIES_CLIENT, FailureReason.CERTIFICATE_REJECTED)
_BY_STATUS = {
    495: _Kind(*_REFUSED, "the status of the response is 495 (SSL certificate error)", shown=True),
    496: _Kind(*_NONE_CAME, "the status of the response is 496 (SSL certificate required)", shown=False),
}
_BY_TITLE = {
    b"the ssl certificate error": _Kind(
        *_REFUSED, "the response is the page 'The SSL certificate error' of nginx", shown=True
    ),
    b"no required ssl certificate was sent": _Kind(
        *_NONE_CAME, "the response is the page 'No required SSL certificate was sent' of nginx", shown=False
    ),
}
_AFTERWARDS = b"cannot perform post-handshake authentication"
_ASKS_LATER = _Kind(
    *_NONE_CAME,
    "the page of Apache says that it wanted to ask for a certificate after the handshake, which this client does not "
    "offer",
    shown=False,
)
_BAD_REQUEST, _FORBIDDEN = 400, 403


def refusal_in_response(
    status: int, headers: Mapping[str, str], body: bytes, *, showed_certificate: bool | None
) -> Refusal | None:
    """What a response says of the client's certificate, ``None`` if it says nothing of it.

    ``body`` is as much of it as was read, decoded from its content encoding; its first 4096 bytes are looked at.
    ``showed_certificate`` is whether our certificate was sent in this handshake, ``None`` where that is not known. A
    page that contradicts it (operators return these pages by rules of their own, and a proxy passes on those of the
    server behind it) has no step. It is a conclusion from what the server chose to write: always *inferred*.
    """
    kind = _BY_STATUS.get(status) or _by_page(status, headers, body[:LOOKED_AT].lower())
    if kind is None:
        return None
    if showed_certificate in {None, kind.shown}:
        return Refusal(kind.step, kind.failure, kind.says)
    sent = "our certificate was sent" if showed_certificate else "no certificate of ours was sent"
    return Refusal(None, kind.failure, f"{kind.says}, but {sent}")


def _by_page(status: int, headers: Mapping[str, str], page: bytes) -> _Kind | None:
    if status not in {_BAD_REQUEST, _FORBIDDEN} or not _is_html(headers):
        return None
    if status == _FORBIDDEN:
        return _ASKS_LATER if _AFTERWARDS in page else None
    title = page.partition(b"<title>")[2].partition(b"</title>")[0]
    return next((kind for phrase, kind in _BY_TITLE.items() if phrase in title), None)


def _is_html(headers: Mapping[str, str]) -> bool:
    """An application that quotes such a page in its JSON is not that page."""
    kinds = [value for name, value in headers.items() if name.lower() == "content-type"]
    return all(kind.strip().lower().startswith("text/html") for kind in kinds)
