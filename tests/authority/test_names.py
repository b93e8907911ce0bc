"""How a name is known by its form, and which names are refused."""

from __future__ import annotations

import ipaddress

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from mtls._credentials.names import general_names, name_text
from mtls.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost", x509.DNSName("localhost")),
        ("my_service.default.svc", x509.DNSName("my_service.default.svc")),
        ("*.example.com", x509.DNSName("*.example.com")),
        ("Example.COM", x509.DNSName("Example.COM")),
        ("bücher.example", x509.DNSName("xn--bcher-kva.example")),
        ("*.bücher.example", x509.DNSName("*.xn--bcher-kva.example")),
        ("a" * 63 + ".example", x509.DNSName("a" * 63 + ".example")),
        ("127.0.0.1", x509.IPAddress(ipaddress.ip_address("127.0.0.1"))),
        ("::1", x509.IPAddress(ipaddress.ip_address("::1"))),
        ("spiffe://example.org/a/b", x509.UniformResourceIdentifier("spiffe://example.org/a/b")),
        ("https://a.example:8443/x?y=z", x509.UniformResourceIdentifier("https://a.example:8443/x?y=z")),
        ("ops@example.com", x509.RFC822Name("ops@example.com")),
        ("ops@bücher.example", x509.RFC822Name("ops@xn--bcher-kva.example")),
    ],
)
def test_a_name_is_known_by_its_form(text: str, expected: x509.GeneralName) -> None:
    assert general_names([text]) == [expected]


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("", "is empty or holds a space", "use subject="),
        ("Acme Billing", "is empty or holds a space", "use subject="),
        ("a.example\n", "is empty or holds a space or a control character", "subject="),
        ("a\0.example", "is empty or holds a space or a control character", "subject="),
        ("a\u202e.example", "is empty or holds a space or a control character", "subject="),
        ("*", "has a wildcard that is not the whole leftmost of three labels", r"write \*\.example\.com"),
        ("*.example", "has a wildcard", "OpenSSL matches nothing shorter"),
        ("a.*.example", "has a wildcard", "RFC 9525"),
        ("a*.example.com", "has a wildcard", "RFC 9525"),
        ("*.*.example.com", "has a wildcard", "RFC 9525"),
        ("example.com.", "is neither a DNS name nor an IP address", "trailing dot"),
        ("api.example:443", "is neither a DNS name nor an IP address", "port"),
        ("[::1]", "is neither a DNS name nor an IP address", "brackets"),
        ("10.0.0.0/8", "is neither a DNS name nor an IP address", "path"),
        ("256.1.1.1", "is neither a DNS name nor an IP address", "DNS name"),
        ("-a.example", "is neither a DNS name nor an IP address", "DNS name"),
        ("a..example", "is neither a DNS name nor an IP address", "DNS name"),
        ("a" * 64 + ".example", "is neither a DNS name nor an IP address", "over 63 characters"),
        (".".join(["a" * 63] * 4), "is neither a DNS name nor an IP address", "over 63 characters"),
        ("fe80::1%eth0", "has a zone", "leave the % and what follows out"),
        ("straße.example", "its editions of 2003 and 2008 differ", "xn--"),
        ("\u0378.example", "control character|IDNA cannot encode", "xn--|subject="),
        ("a" * 60 + "ü.example", "IDNA cannot encode", "xn--"),
        ("spiffe://", "is no absolute URI with a host", "scheme://host/path"),
        ("spiffe:///path", "is no absolute URI with a host", "scheme://host/path"),
        ("://a.example", "is no absolute URI with a host", "scheme://host/path"),
        ("1a://a.example", "is no absolute URI with a host", "scheme://host/path"),
        ("https://[::1", "is no absolute URI with a host", "scheme://host/path"),
        ("spiffe://exämple/a", "in ASCII", "percent-encoded"),
        ("@example.com", "is no e-mail address", "name@example.com"),
        ("a@b@example.com", "is no e-mail address", "name@example.com"),
        ("jörg@example.com", "is no e-mail address with an ASCII local part", "name@example.com"),
        ("a@*.example.com", "is no e-mail address", "name@example.com"),
        ("a@", "is neither a DNS name", "DNS name"),
    ],
)
def test_a_bad_name_is_quoted_with_the_remedy(text: str, problem: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=f"^the name '.*' .*({problem}).*; .*({remedy})") as caught:
        general_names([text])
    assert str(caught.value).isprintable()


def test_a_name_given_twice_is_there_once_and_the_order_stays() -> None:
    assert list(map(name_text, general_names(["b.example", "a.example", "b.example"]))) == ["b.example", "a.example"]


def test_general_names_are_taken_as_they_are() -> None:
    given_names: list[x509.GeneralName] = [
        x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x01a"),
        x509.DNSName("*"),
    ]
    assert general_names(given_names) == given_names
    assert list(map(name_text, given_names)) == ["CN=a", "1.2.3", "1.3.6.1.4.1.311.20.2.3", "*"]


@given(st.text(max_size=300))
def test_any_text_is_a_name_that_can_be_encoded_or_a_usage_error(text: str) -> None:
    try:
        (name,) = general_names([text])
    except UsageError as exc:
        assert str(exc).isprintable()  # noqa: PT017 - both outcomes are right
        return
    assert x509.SubjectAlternativeName([name]).public_bytes()
    assert name_text(name).isascii()


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_every_ip_address_is_one(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    (name,) = general_names([str(address)])
    assert name == x509.IPAddress(address) or getattr(address, "scope_id", None)


_LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@given(st.lists(_LABELS, min_size=1, max_size=5), _LABELS.filter(lambda label: not label.isdigit()))
def test_every_dns_name_in_preferred_syntax_is_one(labels: list[str], last: str) -> None:
    text = ".".join([*labels, last])
    assert general_names([text]) == [x509.DNSName(text)]


@given(st.lists(_LABELS, min_size=1, max_size=4), st.sampled_from(["spiffe", "https", "x-y+z.1"]))
def test_every_uri_with_a_host_is_one(labels: list[str], scheme: str) -> None:
    text = f"{scheme}://{'.'.join(labels)}/path"
    assert general_names([text]) == [x509.UniformResourceIdentifier(text)]
