"""The stage of a fault: a good pair, changed on the culprit's side, and the handshake that is played on it.

Rule: the profiles that were given are never changed, and the side that has to refuse keeps its rules; only
``Fault.run`` may add one that it lacks (``adds``). The culprit is not checked beforehand: its fault has to get out.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from cryptography import x509

from mtls import _certificate
from mtls._credentials.truststore import Truststore
from mtls._handshake.context import TLSContext
from mtls._handshake.generation import Generation
from mtls._handshake.loopback import join
from mtls._model import Revocation, Role
from mtls._profile import ClientProfile, ServerProfile
from mtls._rehearsal.rehearsal import observe
from mtls.errors import UsageError
from mtls.testing._authorities import copied, the_authority
from mtls.testing._wire import join_cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mtls._credentials.keystore import Keystore
    from mtls._credentials.names import Name
    from mtls._profile import TLSProfile
    from mtls._rehearsal.result import Handshake
    from mtls.authority import CertificateAuthority
    from mtls.testing._authorities import Authority
    from mtls.testing._catalogue import Fault
    from mtls.testing._cut import Cut

_ANYBODY = (x509.DNSName("client.example"),)


class NotApplicableError(UsageError):
    """A fault that says nothing about this pair or profile: it makes no such demand, or is of another kind.

    ``why`` is the reason, without the fault's name. A test that runs every fault may skip on it.
    """

    __module__ = "mtls.testing"

    def __init__(self, fault: Fault, why: str, remedy: str) -> None:
        super().__init__(f"the fault {fault.id!r} does not apply: {why}; {remedy}")
        self.why = why


def run(
    fault: Fault, client: ClientProfile, server: ServerProfile, authority: Authority, hostname: str | None
) -> Handshake:
    """What ``Fault.run`` does."""
    __tracebackhide__ = True
    for profile, kind in ((client, ClientProfile), (server, ServerProfile)):
        if not isinstance(profile, kind):
            text = f"a fault runs between a ClientProfile and a ServerProfile, in this order; got {_kind(profile)}"
            raise UsageError(text)
    if fault.two_way_only and server.truststore is None:
        why = "it is one of two-way TLS, and this server asks for no client certificate"
        raise NotApplicableError(fault, why, "give the server profile a truststore=")
    return Scene(fault, client, server, the_authority(authority), hostname or served_name(server), adds=True).play()


class Scene:
    """The two sides of one handshake, with the fault in it."""

    def __init__(
        self,
        fault: Fault,
        client: ClientProfile,
        server: ServerProfile,
        authority: CertificateAuthority,
        hostname: str,
        *,
        adds: bool,
    ) -> None:
        self.fault = fault
        self.authority = copied(authority)
        self.hostname = hostname
        self.adds = adds
        self.cut: Cut | None = None
        self._profiles: dict[Role, Any] = {Role.CLIENT: client, Role.SERVER: server}
        self._good = dict(self._profiles)
        self._unchecked = {fault.culprit}
        self._tweaks: dict[Role, Callable[[Any], None]] = {}
        if len(fault.versions) == 1:
            self._limit_to(fault.versions[0])
        fault._stage(self)

    # --- what there is ---

    @property
    def culprit(self) -> Any:
        """The profile with the fault."""
        return self._profiles[self.fault.culprit]

    @property
    def judge(self) -> Any:
        """The profile that has to refuse it."""
        return self._profiles[self.fault.culprit.other]

    @property
    def names(self) -> tuple[Name, ...]:
        """The names in the culprit's good certificate."""
        keystore = self._good[self.fault.culprit].keystore
        found = None if keystore is None else _certificate.extension(keystore.certificate, x509.SubjectAlternativeName)
        return _ANYBODY if found is None else tuple(found)

    # --- what a fault changes ---

    def change(self, **options: Any) -> None:
        """Change the culprit."""
        self._profiles[self.fault.culprit] = replace(self.culprit, **options)

    def issue(self, issuer: CertificateAuthority | None = None, **fields: Any) -> Keystore:
        """A certificate for the culprit's role, names and key, as good as the fields let it be."""
        if issuer is None or issuer._root == self.authority.root:
            self.anchor()
        issuer = issuer or self.authority
        keystore = self._good[self.fault.culprit].keystore
        if keystore is not None:
            fields.setdefault("private_key", keystore._private_key)
        names = fields.pop("names", self.names)
        return (issuer.client if self.fault.culprit is Role.CLIENT else issuer.server)(*names, **fields)

    def show(self, keystore: Keystore | None) -> None:
        """Have the culprit show this."""
        self.change(keystore=keystore)

    def intermediate(self, name: str = "faulty issuing CA", **fields: Any) -> CertificateAuthority:
        """A CA below the authority, with a CRL of its own where the judge asks for one of every CA."""
        self.anchor()
        made = self.authority.intermediate(name, **fields)
        self.add_crl_of(made)
        return made

    def add_crl_of(self, issuer: CertificateAuthority) -> None:
        """Give the judge the list of a CA that the test has made, where it asks for one of every CA."""
        if self._revokes():
            self._trust(self.judge.truststore.anchors, (*self.judge.truststore.crls, issuer.crl()))

    def tweak(self, role: Role, tweak: Callable[[Any], None]) -> None:
        """Change the OpenSSL context of a role after it was built."""
        self._tweaks[role] = tweak
        self._unchecked.add(role)

    # --- what the judge needs ---

    def add(self, why_not: str, remedy: str, **options: Any) -> None:
        """Give the judge a rule that it lacks. Raises :class:`NotApplicableError` where it is to stay as it is."""
        self.never_as_it_is(why_not, remedy)
        self._profiles[self.fault.culprit.other] = replace(self.judge, **options)

    def never_as_it_is(self, why_not: str, remedy: str) -> None:
        """Refuse where the judge is to stay as it is."""
        if not self.adds:
            self.refuse(why_not, remedy)

    def refuse(self, why_not: str, remedy: str) -> NoReturn:
        """Say that the fault does not apply to this pair."""
        raise NotApplicableError(self.fault, why_not, remedy)

    def listed_serial(self) -> int:
        """A serial number that the judge's CRL lists; in a copy that may be added to, one of a new list."""
        own = self.authority.certificate
        if not self.adds:
            crls = self.judge.truststore.crls if self._revokes() else ()
            listed = [entry.serial_number for crl in crls if crl.issuer == own.subject for entry in crl]
            if listed:
                return int(listed[0])
            why = "no CRL of the authority in the truststore lists a certificate"
            remedy = "revoke one: authority.revoke(…), then truststore=authority.truststore_with_crl()"
            self.refuse(why, remedy)
        serial = x509.random_serial_number()
        self.authority._revoked[serial] = datetime.now(UTC), x509.ReasonFlags.unspecified
        self.add_crls(self.authority.truststore_with_crl().crls)
        return serial

    def add_crls(self, crls: Iterable[x509.CertificateRevocationList]) -> None:
        """Have the judge look at these lists, and at no others."""
        self.anchor()
        if not self.adds and self._revokes():
            return
        self.add("the truststore holds no CRL", "give it one: Truststore.from_pem(…, crls=[…])", revocation=None)
        self._trust(self.judge.truststore.anchors, crls)

    def judge_unchecked(self) -> None:
        """The judge has an error of its own, which belongs to the fault."""
        self._unchecked.add(self.fault.culprit.other)

    def _revokes(self) -> bool:
        trusted = self.judge.truststore
        return trusted is not None and bool(trusted.crls) and self.judge.revocation is not Revocation.OFF

    def _trust(self, anchors: Iterable[x509.Certificate], crls: Iterable[x509.CertificateRevocationList]) -> None:
        role = self.fault.culprit.other
        self._profiles[role] = replace(self.judge, truststore=Truststore.from_certificates(anchors, crls=crls))

    def anchor(self) -> x509.Certificate:
        """The certificate of the authority, or of one above it, that the judge trusts. Refuses where there is none: any
        certificate of it is one of a stranger then. A judge that asks for no certificate trusts whatever comes.
        """
        own, trusted = self.authority, self.judge.truststore
        above = (own.certificate, *own.chain, own.root)
        found = next((each for each in above if trusted is None or each in trusted), None)
        return found or self._strange(own.certificate)

    def _strange(self, certificate: x509.Certificate) -> NoReturn:
        who, name = self.fault.culprit.other.value, _certificate.label(certificate)
        why = f"the {who} does not trust {name}, so it would refuse every certificate of it"
        self.refuse(why, f"give the authority that is in the {who}'s truststore")

    def _limit_to(self, version: Any) -> None:
        allowed = self.judge.policy
        if not allowed.minimum_version <= version <= allowed.maximum_version:
            who = self.fault.culprit.other.value
            why = f"it is one of {version.label}, and the {who}'s policy {allowed.name} does not allow that"
            raise NotApplicableError(self.fault, why, f"see its versions, or give a {who} profile that does")
        policy = replace(self.culprit.policy, minimum_version=version, maximum_version=version)
        self.change(policy=policy)

    # --- the handshake ---

    @property
    def client(self) -> ClientProfile:
        """The client as it plays."""
        return self._profiles[Role.CLIENT]  # type: ignore[no-any-return] # the dictionary holds both kinds

    @property
    def server(self) -> ServerProfile:
        """The server as it plays."""
        return self._profiles[Role.SERVER]  # type: ignore[no-any-return] # the dictionary holds both kinds

    def context(self, role: Role) -> TLSContext:
        """The context of a role; of the culprit one that was not checked."""
        profile = self._profiles[role]
        if role not in self._unchecked:
            return profile._observed_context()  # type: ignore[no-any-return] # the dictionary holds both kinds
        return unchecked(profile, self._tweaks.get(role))

    def play(self) -> Handshake:
        """The handshake. Raises :class:`NotApplicableError` if the moment of the fault never came."""
        contexts = self.context(Role.CLIENT), self.context(Role.SERVER)
        if self.cut is None:
            near, far = join(*contexts, server_hostname=self.hostname)
            return observe(self.client, self.server, near, far, self.hostname)
        near, far, tap = join_cut(*contexts, self.cut, server_hostname=self.hostname)
        seen = observe(self.client, self.server, near, far, self.hostname)
        if not tap.reached and seen.ok:
            why = f"the {self.fault.culprit.value} sends no {self.cut.messages[0]} here"
            raise NotApplicableError(self.fault, why, "give a pair that is two-way where the fault is")
        return seen


def unchecked(profile: TLSProfile, tweak: Callable[[Any], None] | None = None) -> TLSContext:
    """A context of a profile that may have errors: a test needs what no check would let out."""
    generation = Generation(profile._settings())
    if tweak is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of old versions, which is the point
            tweak(generation.context)
    return TLSContext._make(profile, generation, profile._read_again, keeps_log=True)


def served_name(server: ServerProfile) -> str:
    """A name that a client may ask this server for."""
    keystore = server.keystore
    names = () if keystore is None else keystore.names
    plain = [name for name in names if not any(mark in name for mark in "*/@")]
    return "localhost" if "localhost" in plain or not plain else plain[0]


def _kind(profile: object) -> str:
    return type(profile).__name__
