# Who is known to the service: accounts with their passwords, merchants with their keys.

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from .reading import same_secret

__all__ = ["Credentials", "Directory"]


class Credentials(NamedTuple):
    """A username and its password."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"<Credentials of {self.username}>"


class Directory:
    """All accounts and merchants, each with a UUID made by `new_id`.

    Attributes:
        account_ids: username to account id.
        merchant_id: of the merchant whose customers the accounts are.
    """

    def __init__(self, accounts: Mapping[str, str], merchant_keys: Iterable[str], new_id: Callable[[], str]) -> None:
        self._passwords = dict(accounts)
        self.account_ids = {username: new_id() for username in self._passwords}
        self._merchants = {key: new_id() for key in merchant_keys}
        self.merchant_id = new_id()

    def __repr__(self) -> str:
        return f"<Directory of {len(self._passwords)} accounts and {len(self._merchants)} merchants>"

    def __len__(self) -> int:
        return len(self._passwords)

    def first_credentials(self) -> Credentials:
        """Return the first account's credentials; LookupError if there is no account."""
        for username, password in self._passwords.items():
            return Credentials(username, password)
        raise LookupError("this service has no account")

    def first_merchant_key(self) -> str:
        """Return the first merchant key; LookupError if there is none."""
        for key in self._merchants:
            return key
        raise LookupError("this service has no merchant key")

    def account_of(self, username: str, password: str) -> str | None:
        """Return the account id if the password is right."""
        # For an unknown user something is compared as well: the time taken does not tell who has an account.
        right = same_secret(password, self._passwords.get(username, ""))
        return self.account_ids.get(username) if right else None

    def merchant_of(self, key: str) -> str | None:
        """Return the merchant id if the key is known."""
        return next((merchant for known, merchant in self._merchants.items() if same_secret(key, known)), None)
