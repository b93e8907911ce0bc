"""A page that refuses our certificate is recognised, and no other page is.

The pages are what nginx 1.22, Apache 2.4 and HAProxy 2.6 send; ``tests/matrix`` looks at the real ones.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtls import FailureReason, HandshakeStep
from mtls._handshake.refusal_page import LOOKED_AT, refusal_in_response

HTML = {"Content-Type": "text/html"}


def nginx(says: str) -> bytes:
    return (
        f"<html>\r\n<head><title>400 {says}</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n"
        f"<center>{says}</center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
    ).encode()


NONE_SENT = nginx("No required SSL certificate was sent")
REFUSED = nginx("The SSL certificate error")
PLAIN_HTTP = nginx("The plain HTTP request was sent to HTTPS port")
NGINX_403 = (
    b"<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n"
    b"<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
)
HAPROXY_403 = b"<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n\n"


def apache_403(reason: str) -> bytes:
    return (
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">\n<html><head>\n'
        "<title>403 Forbidden</title>\n</head><body>\n<h1>Forbidden</h1>\n"
        f"<p>You don't have permission to access this resource.{reason}</p>\n</body></html>\n"
    ).encode()


AFTERWARDS = apache_403("Reason: Cannot perform Post-Handshake Authentication.<br />")

PAGES = [
    pytest.param(400, NONE_SENT, False, 5, "certificate_required", id="nginx-none"),
    pytest.param(400, NONE_SENT, None, 5, "certificate_required", id="nginx-none-unknown"),
    pytest.param(400, REFUSED, True, 6, "certificate_rejected", id="nginx-refused"),
    pytest.param(400, REFUSED, None, 6, "certificate_rejected", id="nginx-refused-unknown"),
    pytest.param(403, AFTERWARDS, False, 5, "certificate_required", id="apache-afterwards"),
    pytest.param(495, b"", True, 6, "certificate_rejected", id="495"),
    pytest.param(496, b"", False, 5, "certificate_required", id="496"),
    pytest.param(496, b"", None, 5, "certificate_required", id="496-unknown"),
]


@pytest.mark.parametrize(("status", "page", "showed", "step", "failure"), PAGES)
def test_a_page_about_our_certificate_has_its_step_and_failure(
    status: int, page: bytes, showed: bool | None, step: int, failure: str
) -> None:
    found = refusal_in_response(status, HTML, page, showed_certificate=showed)
    assert found is not None
    assert (found.step, found.failure) == (HandshakeStep(step), FailureReason(failure))
    assert str(status) in found.because or "page" in found.because


@pytest.mark.parametrize(
    ("status", "page", "showed", "known"),
    [
        (400, NONE_SENT, True, "but our certificate was sent"),
        (400, REFUSED, False, "but no certificate of ours was sent"),
        (403, AFTERWARDS, True, "but our certificate was sent"),
        (495, b"", False, "but no certificate of ours was sent"),
        (496, b"", True, "but our certificate was sent"),
    ],
)
def test_a_page_that_contradicts_what_we_sent_has_no_step(status: int, page: bytes, showed: bool, known: str) -> None:
    found = refusal_in_response(status, HTML, page, showed_certificate=showed)
    assert found is not None
    assert found.step is None
    assert found.because.endswith(known)


@pytest.mark.parametrize(
    ("status", "headers", "page"),
    [
        pytest.param(200, HTML, NONE_SENT, id="no refusal"),
        pytest.param(404, HTML, NONE_SENT, id="another status"),
        pytest.param(403, HTML, NONE_SENT, id="a forbidden page of another kind"),
        pytest.param(400, HTML, PLAIN_HTTP, id="plain HTTP to a TLS port"),
        pytest.param(403, HTML, NGINX_403, id="nginx's own 403"),
        pytest.param(403, HTML, HAPROXY_403, id="HAProxy's own 403"),
        pytest.param(403, HTML, apache_403(""), id="Apache's own 403"),
        pytest.param(400, HTML, AFTERWARDS, id="Apache's text under another status"),
        pytest.param(400, HTML, b"", id="no body"),
        pytest.param(403, {}, b"", id="no body, no headers"),
        pytest.param(400, {"content-type": "application/json"}, b'{"title": "<title>The SSL certificate error"}'),
        pytest.param(400, HTML, b"<title>Help</title><p>No required SSL certificate was sent</p>", id="in the text"),
        pytest.param(400, HTML, b" " * LOOKED_AT + NONE_SENT, id="far down"),
    ],
)
@pytest.mark.parametrize("showed", [True, False, None])
def test_a_response_that_says_nothing_of_certificates_is_no_refusal(
    status: int, headers: dict[str, str], page: bytes, showed: bool | None
) -> None:
    assert refusal_in_response(status, headers, page, showed_certificate=showed) is None


@pytest.mark.parametrize("headers", [{}, {"content-type": "Text/HTML; charset=utf-8"}, HTML | {"Server": "x"}])
def test_the_name_of_a_header_may_be_written_anyhow_and_may_be_missing(headers: dict[str, str]) -> None:
    assert refusal_in_response(400, headers, NONE_SENT.upper(), showed_certificate=False) is not None


@given(
    status=st.sampled_from([400, 403, 495, 496, 500]),
    body=st.binary(max_size=200) | st.sampled_from([NONE_SENT, REFUSED, NONE_SENT[:80], REFUSED[:40]]),
    showed=st.none() | st.booleans(),
)
def test_any_bytes_have_an_answer_and_a_step_only_where_nothing_contradicts_it(
    status: int, body: bytes, showed: bool | None
) -> None:
    found = refusal_in_response(status, HTML, body, showed_certificate=showed)
    if found is not None and found.step is not None:
        assert found.step == (6 if found.failure is FailureReason.CERTIFICATE_REJECTED else 5)
        assert showed in {None, found.step == 6}
