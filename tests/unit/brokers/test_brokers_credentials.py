"""Logins at rest: what was put is what is got, and nothing of it can be read in the file, an error or a repr."""

import os
import stat

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tradebus.brokers.credentials import Credential, Credentials
from tradebus.kernel.errors import InvalidInput

SECRET, TOKEN = "the-api-secret", "the-access-token"
LOGIN = Credential("kite", "mykey", SECRET, TOKEN, account="AB1234")


def test_a_login_is_kept_encrypted_for_its_owner_alone(tmp_path) -> None:
    kept = Credentials(tmp_path)
    kept.put("mine", LOGIN)
    assert Credentials(tmp_path).get("mine") == LOGIN
    for path in (tmp_path / "credentials" / "mine", tmp_path / "credentials.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for word in (SECRET, TOKEN, "mykey", "AB1234"):
            assert word not in path.read_text()
    assert stat.S_IMODE((tmp_path / "credentials").stat().st_mode) == 0o700
    assert kept.names() == ["mine"]
    assert os.listdir(tmp_path / "credentials") == ["mine"], "no draft is left"


def test_nothing_secret_is_in_a_repr() -> None:
    assert SECRET not in repr(LOGIN)
    assert TOKEN not in repr(LOGIN)
    assert LOGIN.renewed("another") == Credential("kite", "mykey", SECRET, "another", account="AB1234")


def test_a_given_key_goes_before_the_file_and_makes_none(tmp_path) -> None:
    key = SecretStr(Fernet.generate_key().decode())
    Credentials(tmp_path, key=key).put("mine", LOGIN)
    assert not (tmp_path / "credentials.key").exists()
    assert Credentials(tmp_path, key=key).get("mine") == LOGIN


def test_another_key_or_an_altered_file_is_refused_and_named(tmp_path) -> None:
    Credentials(tmp_path).put("mine", LOGIN)
    other = Credentials(tmp_path, key=SecretStr(Fernet.generate_key().decode()))
    with pytest.raises(InvalidInput, match="'mine' cannot be opened: it was stored with another key, or altered"):
        other.get("mine")
    path = tmp_path / "credentials" / "mine"
    path.write_bytes(path.read_bytes()[:-4] + b"AAAA")
    with pytest.raises(InvalidInput, match="altered"):
        Credentials(tmp_path).get("mine")


def test_what_is_not_there_is_named_with_the_nearest(tmp_path) -> None:
    kept = Credentials(tmp_path)
    with pytest.raises(InvalidInput, match="'mine' is not stored here"):
        kept.get("mine")
    kept.put("kite-main", LOGIN)
    with pytest.raises(InvalidInput, match=r"did you mean 'kite-main'\?"):
        kept.get("kite-man")


def test_a_key_that_is_none_is_refused_without_repeating_it(tmp_path) -> None:
    with pytest.raises(InvalidInput, match="TRADEBUS_CREDENTIALS_KEY: holds no key") as raised:
        Credentials(tmp_path, key=SecretStr("not-a-key-at-all")).put("mine", LOGIN)
    assert "not-a-key" not in str(raised.value)


@pytest.mark.parametrize("name", ["", "../evil", "a/b", ".hidden", "a..b", "x" * 129, "näme", "a\nb"])
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path, name) -> None:
    with pytest.raises(InvalidInput, match="is no name"):
        Credentials(tmp_path).put(name, LOGIN)
    assert not (tmp_path / "credentials").exists()


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_any_login_comes_back_as_it_was(tmp_path_factory, client_id, secret, token) -> None:
    kept = Credentials(tmp_path_factory.mktemp("state"), key=SecretStr("A" * 43 + "="))
    login = Credential("upstox", client_id, secret, token)
    kept.put("any.user@x:1", login)
    assert kept.get("any.user@x:1") == login
