"""Which protocol versions, ciphers, groups and key strengths are allowed, as named presets that cite their source.

Rule: a policy is data. What this Python cannot enforce is named by ``unenforceable``, never claimed.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

from mtls._model import TLSVersion
from mtls.errors import UsageError

_CAN_SET_TLS13_SUITES_AND_GROUPS = sys.version_info >= (3, 15)

_SECURITY_BITS = {0: 0, 1: 80, 2: 112, 3: 128, 4: 192, 5: 256}
"""Security level to bits, as SSL_CTX_set_security_level(3) defines it."""

_HASH_BITS = {"md5": 39, "sha1": 63, "sha224": 112, "sha3-224": 112}
"""What a digest is worth to OpenSSL 3 (X509_get_signature_info(3)); a longer one is worth half its size."""

_RSA_BITS = {2048: 112, 3072: 128, 4096: 152, 6144: 176, 7680: 192, 8192: 200, 15360: 256}
"""RSA modulus to security bits where NIST SP 800-56B rev. 2 (appendix D) names them."""
_LEAST_MODULUS = 8
_MOST_BITS = 1200
_MOST_RSA_BITS = ((7680, 192), (15360, 256))
"""No modulus up to these lengths counts for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSPolicy:
    """What a profile accepts on the wire.

    ``ciphers`` are TLS 1.2 suites by their OpenSSL names, in order of preference; ``tls13_ciphersuites`` and ``groups``
    are the TLS 1.3 suites and key exchange groups the source asks for, which Python cannot set before 3.15 (see
    :attr:`unenforceable`). ``security_level`` is OpenSSL's (0 to 5): it refuses weak keys and signatures in both
    chains, ours and the peer's. Presets are module constants: :data:`MOZILLA_MODERN`, :data:`MOZILLA_INTERMEDIATE`,
    :data:`BCP195`, :data:`NIST_800_52R2`; a policy of your own is ``TLSPolicy(name="ours", ...)``. Raises
    :class:`UsageError` for a version before TLS 1.2 and for one text where a tuple of names belongs.
    """

    name: str
    minimum_version: TLSVersion = TLSVersion.TLSv1_2
    maximum_version: TLSVersion = TLSVersion.TLSv1_3
    ciphers: tuple[str, ...] = ()
    tls13_ciphersuites: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    security_level: int = 2
    source: str = ""

    def __post_init__(self) -> None:
        for field in ("minimum_version", "maximum_version"):
            object.__setattr__(self, field, _version(getattr(self, field), field))
        for field in ("ciphers", "tls13_ciphersuites", "groups"):
            object.__setattr__(self, field, _tuple_of_names(getattr(self, field), field))

    @property
    def cipher_string(self) -> str:
        """What ``SSLContext.set_ciphers`` gets, the security level included.

        Suites without authentication or encryption are always left out. Without TLS 1.2 suites of its own a policy that
        allows TLS 1.2 gets OpenSSL's forward-secret AEAD suites.
        """
        names = self.ciphers or ("ECDHE+AESGCM", "ECDHE+CHACHA20")
        return ":".join((*names, "!aNULL", "!eNULL", f"@SECLEVEL={self.security_level}"))

    @property
    def minimum_security_bits(self) -> int:
        """The strength in bits that the security level asks of every key and signature; 0 for a level that there is
        not, which the check of a profile refuses.
        """
        return _SECURITY_BITS.get(self.security_level, 0)

    @property
    def unenforceable(self) -> tuple[str, ...]:
        """The rules of this policy that this Python has no way to set, one sentence each."""
        if _CAN_SET_TLS13_SUITES_AND_GROUPS:
            return ()
        rules = []
        if self.tls13_ciphersuites and self.maximum_version >= TLSVersion.TLSv1_3:
            rules.append("TLS 1.3 cipher suites: Python cannot set them before 3.15, OpenSSL's own list is in force")
        if self.groups:
            rules.append("key exchange groups: Python cannot set them before 3.15, OpenSSL's own list is in force")
        return tuple(rules)

    def __repr__(self) -> str:
        return f"<TLSPolicy {self.name}: {self.minimum_version.label} to {self.maximum_version.label}>"


def _version(value: Any, field: str) -> TLSVersion:
    """The version itself, also for the member of ``ssl.TLSVersion`` with its number. What is older is refused."""
    try:
        return TLSVersion(value)
    except ValueError:
        text = f"{field}= is TLSVersion.TLSv1_2 or TLSVersion.TLSv1_3 (RFC 8996 forbids older ones), not {value!r}"
        raise UsageError(text) from None


def _tuple_of_names(value: object, field: str) -> tuple[str, ...]:
    """A tuple, so that a policy can be hashed. One text would be taken apart into its letters, and is refused."""
    if isinstance(value, (list, tuple)) and all(isinstance(name, str) and name for name in value):
        return tuple(value)
    text = f"{field}= takes a tuple of names, for instance ('ECDHE-RSA-AES256-GCM-SHA384',), not {value!r}"
    raise UsageError(text)


def rsa_security_bits(modulus_bits: int) -> int:
    """The strength of an RSA or DSA key in bits, as OpenSSL 3 counts it: the cost of the number field sieve (NIST SP
    800-56B rev. 2, appendix D), rounded to a multiple of 8. A modulus a little under 2048 bits is worth 112, too.
    """
    if modulus_bits in _RSA_BITS:
        return _RSA_BITS[modulus_bits]
    if modulus_bits < _LEAST_MODULUS:
        return 0
    size = modulus_bits * math.log(2)
    bits = (1.923 * (size * math.log(size) ** 2) ** (1 / 3) - 4.69) / math.log(2)
    most = next((limit for length, limit in _MOST_RSA_BITS if modulus_bits <= length), _MOST_BITS)
    return min((int(bits) + 4) & ~7, most)


def signature_security_bits(digest: str, digest_bits: int) -> int:
    """The strength of a signature over a digest, named as in ``cryptography`` (``sha256``), in bits."""
    return _HASH_BITS.get(digest, digest_bits // 2)


_AEAD_BY_MOZILLA = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
_TLS13_SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_MOZILLA_GROUPS = ("X25519MLKEM768", "X25519", "prime256v1", "secp384r1")

MOZILLA_MODERN = TLSPolicy(
    name="MOZILLA_MODERN",
    minimum_version=TLSVersion.TLSv1_3,
    tls13_ciphersuites=_TLS13_SUITES,
    groups=_MOZILLA_GROUPS,
    source="Mozilla Server Side TLS 6.0 (2026-03-25), modern",
)
"""TLS 1.3 only. Mozilla Server Side TLS 6.0 (2026-03-25), configuration "modern"."""

MOZILLA_INTERMEDIATE = TLSPolicy(
    name="MOZILLA_INTERMEDIATE",
    ciphers=_AEAD_BY_MOZILLA,
    tls13_ciphersuites=_TLS13_SUITES,
    groups=_MOZILLA_GROUPS,
    source="Mozilla Server Side TLS 6.0 (2026-03-25), intermediate",
)
"""The default: TLS 1.2 and 1.3, forward-secret AEAD suites. Mozilla Server Side TLS 6.0, "intermediate"."""

BCP195 = TLSPolicy(
    name="BCP195",
    ciphers=(
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
    ),
    groups=("prime256v1", "X25519"),
    source="RFC 9325 (BCP 195), sections 3.1, 4.2 and 4.4",
)
"""TLS 1.2 and 1.3. RFC 9325 (BCP 195): section 4.2 RECOMMENDS these four suites, 4.4 asks for P-256 and X25519."""

NIST_800_52R2 = TLSPolicy(
    name="NIST_800_52R2",
    ciphers=(
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "DHE-RSA-AES128-GCM-SHA256",
        "DHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-CCM",
        "ECDHE-ECDSA-AES256-CCM",
    ),
    tls13_ciphersuites=("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_AES_128_CCM_SHA256"),
    groups=("prime256v1", "secp384r1"),
    source="NIST SP 800-52r2 (August 2019), sections 3.1 to 3.3, its AEAD suites",
)
"""TLS 1.2 and 1.3 with the AEAD suites of NIST SP 800-52r2 (August 2019); its CBC suites are left out."""
