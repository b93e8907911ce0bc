"""What a real handshake says of a chain, in memory: the judging side is built as the library builds its contexts.

Rule: the peer is a plain ``ssl.SSLContext`` that holds the key of the chain, minds nothing, and sends just this chain.
"""

from __future__ import annotations

import functools
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mtls import Keystore, Role, _issuing
from mtls._handshake.generation import Settings, build
from mtls._handshake.staging import _temporary_file
from tests.verdict.factory import CRL_LIFETIME, common_name, key_for

if TYPE_CHECKING:
    from mtls._credentials.keys import PrivateKey
    from tests.verdict.factory import Chain, Setting

_ROUNDS = 8
"""More turns than any handshake takes, with a HelloRetryRequest."""
_STRONG = 4
"""From this security level on a key on P-256 is too weak for the judging side's own certificate."""


class Heard(NamedTuple):
    """How a handshake went on the judging side."""

    accepted: bool
    code: int
    """``X509_V_ERR_*``; 0 where the chain is good, and where it was never judged."""
    reason: str
    path: tuple[bytes, ...]
    """The path that was built, if the chain is good (DER)."""
    judged: bool = True
    """Whether it came to the chain; it does not where the peer has no signature to offer that the other takes."""


def settings_of(chain: Chain, setting: Setting) -> Settings:
    """The settings of the side that judges."""
    server = setting.role is Role.CLIENT
    return Settings(
        role=setting.role.other, keystore=_identity(strong=setting.level >= _STRONG) if server else None,
        truststore=chain.truststore, policy=setting.policy, chain_rules=setting.rules, revocation=setting.revocation,
    )  # fmt: skip


def hear(chain: Chain, setting: Setting | None = None) -> Heard:
    """Run the handshake; ``setting`` may differ from the chain's in the version of TLS."""
    setting = setting or chain.setting
    name = setting.compared
    encoded = name if name is None else name.encode("idna").decode("ascii")  # as ssl.SSLContext does it
    judging, peer = build(settings_of(chain, setting), ()), _peer(chain, setting.role)
    as_server = setting.role is Role.CLIENT
    to_judge, to_peer = ssl.MemoryBIO(), ssl.MemoryBIO()
    judge: Any = judging._wrap_bio(to_judge, to_peer, as_server, encoded)  # type: ignore[attr-defined] # not in typeshed
    other: Any = peer.wrap_bio(to_peer, to_judge, server_side=not as_server)
    alive = True
    for _ in range(_ROUNDS):
        try:
            judge.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLCertVerificationError as refusal:
            return Heard(accepted=False, code=refusal.verify_code, reason=refusal.verify_message, path=())
        except ssl.SSLError as refusal:
            return Heard(accepted=False, code=0, reason=refusal.reason or str(refusal), path=(), judged=False)
        else:
            return Heard(accepted=True, code=0, reason="", path=_path(judge))
        try:
            if alive:
                other.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:  # it has sent its alert, which the judging side reads next
            alive = False
    text = f"the handshake does not end: {chain.name}"
    raise AssertionError(text)


def _path(judge: Any) -> tuple[bytes, ...]:
    return tuple(entry.public_bytes(2) for entry in judge.get_verified_chain())


def _peer(chain: Chain, role: Role) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if role is Role.SERVER else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    certificates = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain.sent)
    with _temporary_file(_pem(chain.key) + certificates) as path:
        context.load_cert_chain(path)
    return context


@functools.cache
def _pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@functools.cache
def _identity(*, strong: bool) -> Keystore:
    key = key_for("ec-p521" if strong else "ec-p256", "judge")
    fields = _issuing.of_leaf({"subject": common_name("the judging server")})
    lifetime = CRL_LIFETIME[1] - CRL_LIFETIME[0]
    return Keystore.from_objects(key, _issuing.build(key.public_key(), fields, lifetime, key, None))
