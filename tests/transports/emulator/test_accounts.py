from itertools import count

import pytest
from tenure.transports.emulator.accounts import Credentials, Directory


@pytest.fixture
def directory():
    numbers = count(1)
    return Directory({"ann": "secret", "bob": "hidden"}, ["key-1", "key-2"], lambda: str(next(numbers)))


@pytest.mark.parametrize(
    ("username", "password", "account"),
    [
        ("ann", "secret", "1"),
        ("bob", "hidden", "2"),
        ("ann", "hidden", None),
        ("eve", "", None),
        ("ann", "é\ud800", None),
    ],
)
def test_account_of(directory, username, password, account):
    """Only the right password opens an account, and an unknown user has none, not even an empty one."""
    assert directory.account_of(username, password) == account


@pytest.mark.parametrize(("key", "merchant"), [("key-1", "3"), ("key-2", "4"), ("key", None), ("", None)])
def test_merchant_of(directory, key, merchant):
    """A merchant is known by its whole key."""
    assert directory.merchant_of(key) == merchant


def test_first_ones(directory):
    """The first account and key are at hand for tests and demonstrations."""
    assert directory.first_credentials() == Credentials("ann", "secret")
    assert directory.first_merchant_key() == "key-1"
    assert len(directory) == 2


def test_nobody_is_a_lookup_error():
    """Without accounts and keys, there is no first one."""
    directory = Directory({}, [], str)
    with pytest.raises(LookupError):
        directory.first_credentials()
    with pytest.raises(LookupError):
        directory.first_merchant_key()


def test_no_secret_in_any_repr(directory):
    """Neither passwords nor keys show."""
    text = repr(directory) + repr(directory.first_credentials())
    assert "secret" not in text
    assert "key-1" not in text
