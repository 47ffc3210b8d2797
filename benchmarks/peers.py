# What does a token cost while it is fresh, in the blocking driver and in well-known clients? Target: less than in any.
#
# Each holds a token that is valid for 15 minutes (botocore one for 60, since it refreshes in the last 15), and is asked
# the way in which it asks itself before a request: once in a loop, on one thread, with nothing to refresh and no
# network. What they do besides differs: google-auth also writes the header, msal looks its cache through, botocore
# copies three strings under a lock. Peers that are not installed are left out.

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

from _measure import Spread, interleave, optional, ratio, show_machine
from _service import session_in_memory
from fresh_token import ByHand, measured

ROUNDS = 30
LIFETIME = 900  # seconds
URL = "https://host.example/token"

Get = Callable[[], object]


def of_authlib() -> Get | None:
    module = optional("authlib.integrations.requests_client")
    if module is None:
        return None
    token = {"access_token": "a", "refresh_token": "b", "expires_at": time.time() + LIFETIME}
    session = module.OAuth2Session("client", token=token, token_endpoint=URL)
    return lambda: session.ensure_active_token(session.token)


def of_google_auth() -> Get | None:
    module = optional("google.oauth2.credentials")
    if module is None:
        return None
    expiry = datetime.now(timezone.utc).replace(tzinfo=None) + timedelta(seconds=LIFETIME)  # it wants a naive one
    held = module.Credentials("a", refresh_token="b", token_uri=URL, client_id="c", client_secret="d", expiry=expiry)
    return lambda: held.before_request(None, "GET", "https://host.example/", {})


def of_botocore() -> Get | None:
    module = optional("botocore.credentials")
    if module is None:
        return None
    expiry = datetime.now(timezone.utc) + timedelta(seconds=4 * LIFETIME)  # it refreshes in the last 15 minutes
    held = module.RefreshableCredentials("a", "b", "c", expiry, refresh_using=dict, method="by hand")
    read: Get = held.get_frozen_credentials
    return read


def of_msal() -> Get | None:
    msal = optional("msal")
    if msal is None:
        return None
    authority = "https://login.microsoftonline.com/tenant"
    client = Discovery(authority)
    app = msal.PublicClientApplication("client", authority=authority, instance_discovery=False, http_client=client)
    app.token_cache.add(
        {
            "client_id": "client",
            "scope": ["read"],
            "token_endpoint": authority + "/oauth2/v2.0/token",
            "environment": "login.microsoftonline.com",
            "response": {
                "access_token": "a",
                "refresh_token": "b",
                "expires_in": LIFETIME,
                "token_type": "Bearer",
                "client_info": "eyJ1aWQiOiJ1IiwidXRpZCI6InQifQ",  # {"uid":"u","utid":"t"}
                "id_token_claims": {"oid": "u", "tid": "t", "preferred_username": "name"},
            },
        }
    )
    (account,) = app.get_accounts()
    assert app.acquire_token_silent(["read"], account)["access_token"] == "a"
    return lambda: app.acquire_token_silent(["read"], account)


class Discovery:
    """Answers what msal asks of the network when it is made."""

    def __init__(self, authority: str) -> None:
        self._document = {"issuer": authority} | {
            f"{name}_endpoint": f"{authority}/oauth2/v2.0/{path}"
            for name, path in (("authorization", "authorize"), ("token", "token"), ("device_authorization", "device"))
        }

    def get(self, url: str, **options: Any) -> Any:
        return SimpleNamespace(status_code=200, text=json.dumps(self._document), headers={})


def main() -> None:
    show_machine()
    session = session_in_memory()
    by_hand = ByHand(session.get_permission_token(), LIFETIME)
    subjects: dict[str, Get | None] = {
        "get_permission_token": session.get_permission_token,
        "by hand": by_hand.get_token,
        "authlib": of_authlib(),
        "google-auth": of_google_auth(),
        "botocore": of_botocore(),
        "msal": of_msal(),
    }
    figures = interleave({name: measured(get) for name, get in subjects.items() if get is not None}, ROUNDS)
    for name, figure in figures.items():
        compared = ratio(figure, figures["get_permission_token"]).show("x", 1)
        print(f"{name:22} {Spread(figure).show('ns', 0):28} {compared} of ours")
    session.close()


if __name__ == "__main__":
    main()
