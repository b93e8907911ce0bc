"""The chain of a keystore: in order, whatever order the source has."""

from __future__ import annotations

import copy
import itertools
import pickle
import ssl
from datetime import UTC
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from mtls._credentials.keystore import Keystore
from mtls.errors import KeystoreError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.credentials.conftest import Pki


def test_any_order_of_the_file_gives_the_chain_in_order(pki: Pki) -> None:
    members: list[Any] = [pki.leaf_key, pki.leaf, pki.intermediate, pki.root]
    for order in itertools.permutations(members):
        keystore = Keystore.from_pem(pki.pem(*order))
        assert keystore.certificate == pki.leaf
        assert keystore.chain == (pki.intermediate,)
        assert keystore.root == pki.root
        assert keystore.unrelated == ()
        certificates = [member for member in order if member is not pki.leaf_key]
        assert keystore.reordered == (certificates != members[1:])


def test_an_unrelated_certificate_is_kept_apart_and_is_no_disorder(pki: Pki) -> None:
    stranger = pki.certificate("Stranger", pki.new_key(), ca=True)
    keystore = Keystore.from_pem(pki.pem(pki.leaf_key, stranger, pki.leaf, pki.intermediate))
    assert keystore.unrelated == (stranger,)
    assert keystore.chain == (pki.intermediate,)
    assert keystore.root is None
    assert not keystore.reordered
    assert stranger.public_bytes(Encoding.PEM) not in keystore._pem().reveal()


def test_duplicates_are_dropped(pki: Pki) -> None:
    keystore = Keystore.from_pem(
        pki.pem(pki.leaf, pki.leaf, pki.intermediate, pki.leaf, pki.intermediate, pki.leaf_key)
    )
    assert keystore.chain == (pki.intermediate,)
    assert keystore.unrelated == ()
    assert not keystore.reordered


def test_the_first_certificate_that_the_key_fits_is_the_leaf(pki: Pki) -> None:
    renewed = pki.certificate("leaf", pki.leaf_key, issuer=(pki.intermediate, pki.intermediate_key), days=60)
    keystore = Keystore.from_pem(pki.pem(pki.intermediate, renewed, pki.leaf, pki.leaf_key))
    assert keystore.certificate == renewed
    assert keystore.unrelated == (pki.leaf,)


def test_of_a_cross_signed_ca_the_longer_path_is_sent(pki: Pki) -> None:
    old_key = pki.new_key()
    old = pki.certificate("Old Root", old_key, ca=True)
    crossed = pki.certificate("Root", pki.root_key, issuer=(old, old_key), ca=True)
    for order in itertools.permutations([pki.leaf, pki.intermediate, crossed, pki.root]):
        keystore = Keystore.from_objects(pki.leaf_key, pki.leaf, order)
        assert keystore.chain == (pki.intermediate, crossed)
        assert keystore.root == pki.root
        assert keystore.unrelated == ()
    whole = Keystore.from_objects(pki.leaf_key, pki.leaf, [pki.root, old, crossed, pki.intermediate])
    assert whole.chain == (pki.intermediate, crossed)
    assert whole.root == old
    assert whole.unrelated == (pki.root,)


def test_two_cas_that_signed_each_other_do_not_make_a_loop(pki: Pki) -> None:
    one_key, two_key = pki.new_key(), pki.new_key()
    one_self, two_self = pki.certificate("One", one_key, ca=True), pki.certificate("Two", two_key, ca=True)
    one = pki.certificate("One", one_key, issuer=(two_self, two_key), ca=True)
    two = pki.certificate("Two", two_key, issuer=(one_self, one_key), ca=True)
    leaf = pki.certificate("leaf", pki.leaf_key, issuer=(one_self, one_key))
    keystore = Keystore.from_objects(pki.leaf_key, leaf, [two, one])
    assert keystore.chain == (one, two)
    assert keystore.root is None


def test_a_ca_of_the_right_name_and_the_wrong_key_is_no_issuer(pki: Pki) -> None:
    impostor = pki.certificate("Intermediate", pki.new_key(), issuer=(pki.root, pki.root_key), ca=True)
    keystore = Keystore.from_objects(pki.leaf_key, pki.leaf, [impostor, pki.intermediate])
    assert keystore.chain == (pki.intermediate,)
    assert keystore.unrelated == (impostor,)


def test_without_key_identifiers_the_signature_decides(pki: Pki) -> None:
    key = pki.new_key()
    real = pki.certificate("CA", key, ca=True, key_ids=False)
    impostor = pki.certificate("CA", pki.new_key(), ca=True, key_ids=False)
    leaf = pki.certificate("leaf", pki.leaf_key, issuer=(real, key), key_ids=False)
    keystore = Keystore.from_objects(pki.leaf_key, leaf, [impostor, real])
    assert keystore.root == real
    assert keystore.unrelated == (impostor,)


def test_a_self_issued_certificate_of_a_key_rollover_is_no_root(pki: Pki) -> None:
    new_key = pki.new_key()
    rollover = pki.certificate("Root", new_key, issuer=(pki.root, pki.root_key), ca=True)
    leaf = pki.certificate("leaf", pki.leaf_key, issuer=(rollover, new_key))
    keystore = Keystore.from_objects(pki.leaf_key, leaf, [pki.root, rollover])
    assert keystore.chain == (rollover,)
    assert keystore.root == pki.root


def test_a_root_of_the_right_name_and_another_key_is_not_the_root_of_a_chain_that_ends_early(pki: Pki) -> None:
    new_key = pki.new_key()
    rollover = pki.certificate("Root", new_key, issuer=(pki.root, pki.root_key), ca=True)
    namesake = pki.certificate("Root", pki.new_key(), ca=True)
    leaf = pki.certificate("leaf", pki.leaf_key, issuer=(rollover, new_key))
    keystore = Keystore.from_objects(pki.leaf_key, leaf, [rollover, namesake])
    assert (keystore.chain, keystore.root, keystore.unrelated) == ((rollover,), None, (namesake,))


def test_names_that_differ_in_case_and_blanks_are_the_same_name(pki: Pki) -> None:
    key = pki.new_key()
    written = pki.certificate("My  CA", key, ca=True)
    meant = pki.certificate("my ca", key, ca=True)
    leaf = pki.certificate("leaf", pki.leaf_key, issuer=(meant, key))
    assert Keystore.from_objects(pki.leaf_key, leaf, [written]).root == written


def test_a_self_signed_leaf_is_its_own_chain(pki: Pki) -> None:
    leaf = pki.certificate("alone", pki.leaf_key)
    keystore = Keystore.from_objects(pki.leaf_key, leaf)
    assert (keystore.chain, keystore.root, keystore.unrelated) == ((), None, ())


def test_a_chain_of_a_hundred_certificates_is_taken_and_one_of_a_hundred_and_one_refused(pki: Pki) -> None:
    chain, issuer = [], (pki.root, pki.root_key)
    for number in range(99):
        key = pki.new_key()
        chain.append(pki.certificate(f"CA {number}", key, issuer=issuer, ca=True))
        issuer = chain[-1], key
    leaf = pki.certificate("leaf", pki.leaf_key, issuer=issuer)
    assert Keystore.from_pem(pki.pem(*chain, leaf, pki.leaf_key)).chain == tuple(reversed(chain))
    assert len(Keystore.from_objects(pki.leaf_key, leaf, chain).chain) == 99
    with pytest.raises(KeystoreError, match=r"101 certificates.*belongs into a truststore") as caught:
        Keystore.from_pem(pki.pem(*chain, leaf, pki.root, pki.leaf_key))
    assert caught.value.failure == "too_large"
    with pytest.raises(KeystoreError, match=r"more than 100 .*belongs into a truststore") as caught:
        Keystore.from_objects(pki.leaf_key, leaf, [*chain, pki.root])
    assert caught.value.failure == "too_large"


def test_a_keystore_shows_what_it_is(pki: Pki) -> None:
    keystore = Keystore.from_objects(pki.leaf_key, pki.leaf, [pki.intermediate])
    end = pki.leaf.not_valid_after_utc
    assert repr(keystore) == f"<Keystore CN=leaf (ECDSA P-256), ends {end:%Y-%m-%d %H:%M} UTC, 1 intermediate>"
    assert keystore.names == ("leaf.example",)
    assert keystore.not_after == end
    assert keystore.not_after.tzinfo is UTC
    assert len(bytes.fromhex(keystore.spki_sha256)) == 32
    assert keystore._public_key == pki.leaf_key.public_key()
    assert keystore._private_key is pki.leaf_key


def test_keystores_are_equal_by_content(pki: Pki) -> None:
    one = Keystore.from_objects(pki.leaf_key, pki.leaf, [pki.intermediate])
    same = Keystore.from_pem(pki.pem(pki.intermediate, pki.leaf_key, pki.leaf))
    shorter = Keystore.from_objects(pki.leaf_key, pki.leaf)
    assert one == same
    assert hash(one) == hash(same)
    assert one != shorter
    assert one != "keystore"


def test_a_keystore_cannot_be_changed_copied_pickled_or_called_for(pki: Pki) -> None:
    keystore = Keystore.from_objects(pki.leaf_key, pki.leaf)
    with pytest.raises(AttributeError, match="cannot be changed"):
        keystore.certificate = pki.root  # type: ignore[misc]
    with pytest.raises(AttributeError, match="cannot be changed"):
        keystore.extra = 1
    with pytest.raises(AttributeError, match="cannot be changed"):
        del keystore._private_key
    assert copy.copy(keystore) is keystore
    assert copy.deepcopy(keystore) is keystore
    with pytest.raises(UsageError, match="not pickled"):
        pickle.dumps(keystore)
    with pytest.raises(UsageError, match=r"made by Keystore\.from_pem"):
        Keystore("cert.pem", password="x")


def test_what_goes_to_openssl_is_key_leaf_and_intermediates(pki: Pki, tmp_path: Path) -> None:
    keystore = Keystore.from_pem(pki.pem(pki.root, pki.intermediate, pki.leaf, pki.leaf_key))
    text = keystore._pem().reveal()
    assert text.count(b"BEGIN CERTIFICATE") == 2
    assert text.endswith(pki.pem(pki.leaf, pki.intermediate))
    (tmp_path / "all.pem").write_bytes(text)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "all.pem")


def test_an_ed25519_ca_above_an_ecdsa_leaf_is_found(pki: Pki) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    issuer = pki.certificate("Ed CA", key, ca=True)
    leaf = pki.certificate("leaf", pki.leaf_key, issuer=(issuer, key))
    assert Keystore.from_objects(pki.leaf_key, leaf, [issuer]).root == issuer
