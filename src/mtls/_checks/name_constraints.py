"""Are the names in a path those that the CAs above them may issue for (RFC 5280, 4.2.1.10)?

Rule: what OpenSSL 3.0 compares (``NAME_CONSTRAINTS_check``), in its order, from the top of the path down. Every
certificate but a self-issued intermediate is held to the constraints of all those above it, the trust anchor's
included: its subject, each emailAddress in it, and each subjectAltName. The common name is no host name here.
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509

from mtls._certificate import extension, has_readable_extensions, label
from mtls._checks.general_names import GeneralName, Kind, Names, Subtree, listed, names_of, parts
from mtls._model import FailureReason, Finding, HandshakeStep, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_MOST_COMPARISONS = 10_000
_MOST_FINDINGS = 10
_SMTP_UTF8_MAILBOX = bytes.fromhex("2b06010505070809")
_UTF8_STRING = 12
_LONGEST_IN_A_LABELS, _LONGEST_IN_U_LABELS = 1024, 254
_A_LABEL = b"xn--"

_OTHER_NAMES = "have the certificate issued with other names, or by a CA that may issue for these"
_OTHER_CONSTRAINTS = "have the CA certificate issued anew, with constraints that OpenSSL can compare"
_PROPER_NAME = "have the certificate issued with that name in proper form, or without it"


def check_name_constraints(path: Sequence[x509.Certificate], *, step: HandshakeStep) -> Iterator[Finding]:
    """NAME_CONSTRAINTS for each name that a CA above it does not permit, excludes, or cannot be compared with.

    ``path`` is leaf first and ends where OpenSSL ended. The first finding is the one that OpenSSL reports. There are at
    most ten findings for a certificate, and none after 10,000 comparisons: OpenSSL goes on, so it may refuse a path
    for which nothing was found.
    """
    if not any(map(_may_constrain, path[1:])):
        return
    names = [names_of(certificate) for certificate in path]
    comparisons = _MOST_COMPARISONS
    for position in reversed(range(len(path))):
        if position and names[position].self_issued:
            continue
        authorities = [
            _Constraints(names[above], label(path[above]))
            for above in reversed(range(position + 1, len(path)))
            if names[above].constrains
        ]
        told: set[GeneralName] = set()
        for authority, name in itertools.product(authorities, _held_to_constraints(names[position])):
            comparisons -= authority.cost(name)
            if comparisons < 0:
                return
            fault = None if name in told else authority.fault(name)
            if fault is not None and len(told) < _MOST_FINDINGS:
                told.add(name)
                called = "subject" if name == names[position].subject else name.kind.rfc
                yield _finding(path[position], position, f"the {called} {name.text}", fault, step)


def _may_constrain(certificate: x509.Certificate) -> bool:
    """Whether to look closer; what ``cryptography`` cannot read OpenSSL may well."""
    return not has_readable_extensions(certificate) or extension(certificate, x509.NameConstraints) is not None


class _Fault(NamedTuple):
    """What is wrong with a name, as the rest of a sentence that begins with it."""

    text: str
    required: str
    remedy: str


def _finding(
    certificate: x509.Certificate, position: int, presented: str, fault: _Fault, step: HandshakeStep
) -> Finding:
    owner = "intermediate" if position else "leaf"
    return Finding(
        failure=FailureReason.NAME_CONSTRAINTS,
        severity=Severity.ERROR,
        step=step,
        message=f"{owner} {label(certificate)} has {presented}, {fault.text} (RFC 5280, 4.2.1.10)",
        remedy=fault.remedy,
        certificate=certificate,
        position=position,
        required=fault.required,
        presented=presented.removeprefix("the "),
    )


def _held_to_constraints(names: Names) -> list[GeneralName]:
    subject = [names.subject] if names.subject.relative else []
    return [*subject, *names.in_subject, *names.alternative]


class _Constraints:
    """What one CA says of the names below it, sorted by what it speaks of."""

    def __init__(self, names: Names, authority: str) -> None:
        self._authority = authority
        self._permitted, self._excluded = _sorted(names.permitted), _sorted(names.excluded)

    def cost(self, name: GeneralName) -> int:
        """How many comparisons :meth:`fault` takes at most; one with an otherName takes as long as eight others."""
        about = _spoken_of(name)
        comparisons = 1 + len(self._permitted.get(about, ())) + len(self._excluded.get(about, ()))
        return comparisons * (8 if name.kind is Kind.OTHER else 1)

    def fault(self, name: GeneralName) -> _Fault | None:
        """The first fault that OpenSSL comes upon; one permitted subtree is enough, one excluded is too many."""
        about = _spoken_of(name)
        permitted, excluded = self._permitted.get(about, []), self._excluded.get(about, [])
        try:
            _comparable(name)
            if permitted and not _is_within_any(name, permitted):
                may = listed([each.base.text for each in permitted])
                return _Fault(f"but {self._authority} permits {may} only", f"a name within {may}", _OTHER_NAMES)
            for each in excluded:
                if _is_within_any(name, [each]):
                    text = f"but {self._authority} excludes {each.base.text}"
                    return _Fault(text, f"no name within {each.base.text}", _OTHER_NAMES)
        except _NotComparableError as fault:
            text = f"which OpenSSL cannot hold to the constraints of {self._authority}: {fault}"
            return _Fault(text, fault.required, fault.remedy)
        return None


class _NotComparableError(ValueError):
    """OpenSSL refuses the path because it cannot compare this name with this constraint."""

    required = "a name in proper form"
    remedy = _PROPER_NAME


class _ConstraintError(_NotComparableError):
    """The same, and the fault is in the constraint."""

    required = "a constraint that OpenSSL can compare"
    remedy = _OTHER_CONSTRAINTS


_About = tuple[Kind, bytes]
"""What a constraint speaks of: a kind of name, and among otherNames the type."""


def _sorted(subtrees: tuple[Subtree, ...]) -> dict[_About, list[Subtree]]:
    found = defaultdict(list)
    for subtree in subtrees:
        found[subtree.base.kind, _type_id(subtree.base)].append(subtree)
    return dict(found)


def _spoken_of(name: GeneralName) -> _About:
    """A mailbox in UTF-8 is an otherName, and held to the constraints of e-mail addresses (RFC 8398, 6)."""
    type_id = _type_id(name)
    return (Kind.EMAIL, b"") if type_id == _SMTP_UTF8_MAILBOX else (name.kind, type_id)


def _type_id(name: GeneralName) -> bytes:
    return parts(name.value)[0][1] if name.kind is Kind.OTHER and parts(name.value) else b""


def _comparable(name: GeneralName) -> None:
    if not name.is_ascii_type:
        text = "it is no IA5String"
        raise _NotComparableError(text)


def _is_within_any(name: GeneralName, subtrees: list[Subtree]) -> bool:
    """Whether the name is in one of them. All of them are looked at for limits, which OpenSSL does not support."""
    found = False
    for subtree in subtrees:
        if subtree.limited:
            text = f"the one on {subtree.base.text} has a minimum or a maximum"
            raise _ConstraintError(text)
        found = found or _COMPARISONS.get(name.kind, _unsupported)(name, subtree.base)
    return found


def _unsupported(name: GeneralName, _: GeneralName) -> bool:
    text = f"they speak of a {name.kind.rfc}"
    raise _ConstraintError(text)


def _directory(name: GeneralName, base: GeneralName) -> bool:
    return name.relative[: len(base.relative)] == base.relative


def _dns(name: GeneralName, base: GeneralName) -> bool:
    """Labels may come before the constraint's; before one with a leading dot there is one at least."""
    host, suffix = name.value.lower(), base.value.lower()
    whole = not suffix or suffix.startswith(b".") or host[: -len(suffix)][-1:] in {b"", b"."}
    return host.endswith(suffix) and whole


def _email(name: GeneralName, base: GeneralName) -> bool:
    """One mailbox, all of one host, or all below a domain that is written with a leading dot."""
    mailbox, at = name.value, name.value.rfind(b"@")
    if at < 0:
        text = "it is no mailbox"
        raise _NotComparableError(text)
    wanted, base_at, base_host = base.value.rpartition(b"@")
    if not base_at and base_host.startswith(b"."):
        return _is_below(mailbox, base_host)
    if wanted and len(wanted) == at and b"\0" in wanted + mailbox[:at]:
        text = "there is a NUL in one of the mailboxes"
        raise _NotComparableError(text)
    is_one_of_them = not wanted or (len(wanted) == at and mailbox.startswith(wanted))
    return is_one_of_them and mailbox[at + 1 :].lower() == base_host.lower()


def _other(name: GeneralName, base: GeneralName) -> bool:
    """Of all otherNames only a mailbox in UTF-8, with its host in U-labels (RFC 8398, 6)."""
    if base.kind is not Kind.EMAIL:
        return _unsupported(name, base)
    tag, address = next((inner for _, outer in parts(name.value)[1:] for inner in parts(outer)), (0, b""))
    _, at, host = address.rpartition(b"@")
    if tag != _UTF8_STRING or not at or b"\0" in base.value:
        text = "it is no mailbox in UTF-8"
        raise _NotComparableError(text)
    wanted = _in_u_labels(base.value)
    if wanted is None:
        text = f"the one on {base.text} is no host name"
        raise _ConstraintError(text)
    if wanted.startswith(b"."):  # to which OpenSSL adds one more (measured with 3.0.19), so that no host is below it
        return _is_below(address, b"." + wanted)
    return host.lower() == wanted.lower()


@functools.lru_cache(maxsize=1024)
def _in_u_labels(host: bytes) -> bytes | None:
    """A host with its A-labels in UTF-8; ``None`` where OpenSSL cannot write it so, or has no room for it."""
    if len(host) > _LONGEST_IN_A_LABELS:
        return None
    try:
        labels = [
            label[len(_A_LABEL) :].decode("punycode").encode() if label.startswith(_A_LABEL) else label
            for label in host.split(b".")
        ]
    except UnicodeError:
        return None
    written = b".".join(labels)
    return written if len(written) <= _LONGEST_IN_U_LABELS else None


def _uri(name: GeneralName, base: GeneralName) -> bool:
    """The host between ``://`` and the next colon or, where there is none at all, the next slash."""
    uri = name.value
    start = uri.find(b":") + len(b"://")
    ends = (uri.find(b":", start), uri.find(b"/", start), len(uri))
    host = uri[start : next(end for end in ends if end >= 0)]
    if uri[max(start - 3, 0) : start] != b"://" or not host:
        text = "it is no URI with a host"
        raise _NotComparableError(text)
    if base.value.startswith(b"."):
        return _is_below(host, base.value)
    return len(host) == len(base.value) and host.lower() == base.value.lower()


def _address(name: GeneralName, base: GeneralName) -> bool:
    """Four or sixteen bytes under a mask of as many, which may have holes."""
    size = len(name.value)
    if size not in {4, 16}:
        text = f"it has {size} bytes"
        raise _NotComparableError(text)
    if len(base.value) not in {8, 32}:
        text = f"the one on {base.text} is no address with a mask"
        raise _ConstraintError(text)
    if 2 * size != len(base.value):
        return False
    address, wanted, mask = (int.from_bytes(part) for part in (name.value, base.value[:size], base.value[size:]))
    return address & mask == wanted & mask


def _is_below(name: bytes, suffix: bytes) -> bool:
    return len(name) > len(suffix) and name[-len(suffix) :].lower() == suffix.lower()


_COMPARISONS: dict[Kind, Callable[[GeneralName, GeneralName], bool]] = {
    Kind.DIRECTORY: _directory,
    Kind.DNS: _dns,
    Kind.EMAIL: _email,
    Kind.OTHER: _other,
    Kind.URI: _uri,
    Kind.ADDRESS: _address,
}
