import json
from random import Random
from uuid import uuid4

import jwt
import pytest
from tenure import Request
from tenure.transports.emulator import AuthorizationService, JournalEntry

from .helpers import (
    CREDENTIALS_PATH,
    ISSUE_PATH,
    KEY_PATH,
    OTHER_TOKEN_ID,
    REFRESH_PATH,
    RESOURCE_PATH,
    START,
    TOKEN_ID,
    Pair,
    VirtualClient,
    error_of,
    is_uuid,
)

DAY = 24 * 3600


@pytest.fixture
def client():
    return VirtualClient()


def claims(token):
    return jwt.decode(token, options={"verify_signature": False})


# --- verifying and issuing ---


def test_the_documented_example(client):
    """WIRE.md, last paragraph: credentials buy a security token, that buys a pair, that opens the resource."""
    pair = Pair(client.issue([client.security_token()]))
    answer = client.resource(pair.permission)
    account = client.service.account_ids[client.service.credentials.username]
    assert answer.status == 200
    assert json.loads(answer.body)["accountId"] == account


def test_envelope_of_a_pair(client):
    """WIRE.md, Answers: the envelope, to the letter."""
    request_id = str(uuid4())
    content = {"tokenId": TOKEN_ID, "permissions": ["read"], "securityTokens": [client.security_token()]}
    answer = json.loads(client.post(ISSUE_PATH, content, request_id).body)
    data = answer["data"]
    assert set(answer) == {"requestId", "data"}
    assert answer["requestId"] == request_id
    assert set(data) == {"permissionToken", "permissionRefreshToken"}
    for name, expires_at in (("permissionToken", START + 900), ("permissionRefreshToken", START + 30 * DAY)):
        assert set(data[name]) == {name, "issuer", "expiresAt"}
        assert data[name]["issuer"] == "authorization-service"
        assert data[name]["expiresAt"] == expires_at == claims(data[name][name])["exp"]
        assert type(data[name]["expiresAt"]) is int


def test_permission_token_of_an_account(client):
    """WIRE.md, Answers: both ids are UUIDs, the permissions those that were asked for."""
    token = claims(client.establish().permission)
    assert is_uuid(token["accountId"])
    assert is_uuid(token["merchantId"])
    assert token["permissions"] == ["read"]


def test_permission_token_of_a_merchant(client):
    """WIRE.md, Words: a merchant key issues without an account."""
    pair = Pair(client.issue_by_key())
    token = claims(pair.permission)
    assert token["accountId"] is None
    assert is_uuid(token["merchantId"])
    assert client.resource(pair.permission).status == 200
    assert client.refresh(pair.refresh).status == 200


@pytest.mark.parametrize("wrapped", [False, True])
def test_both_forms_of_the_security_token(wrapped):
    """WIRE.md, Answers: a bare string, or an object the way the other tokens are wrapped."""
    client = VirtualClient(wrap_security_token=wrapped)
    token = json.loads(client.verify().body)["data"]["securityToken"]
    if wrapped:
        assert set(token) == {"securityToken", "issuer", "expiresAt"}
        assert token["expiresAt"] == START + 300
        token = token["securityToken"]
    assert client.issue([token]).status == 200


@pytest.mark.parametrize(("username", "password"), [("ann", "wrong"), ("nobody", "x"), ("ann", "\ud800")])
def test_wrong_credentials_are_refused(username, password):
    """401, the same for an unknown user and a wrong password."""
    answer = VirtualClient(accounts={"ann": "right"}).verify(username, password)
    assert (answer.status, error_of(answer)) == (401, "invalid_credentials")


def test_wrong_merchant_key_is_refused(client):
    """401 for a key that nobody has."""
    answer = client.issue_by_key("wrong")
    assert (answer.status, error_of(answer)) == (401, "invalid_merchant_key")


def test_forged_expired_and_foreign_security_tokens_are_refused(client):
    """401 for what this service has not signed, or too long ago, or as something else."""
    good = client.security_token()
    foreign = VirtualClient(random=Random(2)).security_token()
    for tokens in (["x"], [good[:-2]], [foreign], [good, "x"], [client.establish().refresh]):
        answer = client.issue(tokens)
        assert (answer.status, error_of(answer)) == (401, "invalid_security_token")
    client.wall += 300
    assert client.issue([good]).status == 401


def test_too_few_factors_are_refused():
    """403 unless as many different factors are proven as are required; the same one twice counts once."""
    client = VirtualClient(factors_required=2)
    credentials = client.security_token()
    code = client.service.security_token(client.service.credentials.username, "code", client.wall)
    for tokens in ([], [credentials], [credentials, client.security_token()]):
        answer = client.issue(tokens)
        assert (answer.status, error_of(answer)) == (403, "insufficient_factors")
    assert client.issue([credentials, code]).status == 200


def test_factors_of_two_accounts_are_refused():
    """403: a security token is bound to its account."""
    client = VirtualClient(accounts={"ann": "a", "bob": "b"}, factors_required=2)
    answer = client.issue([client.security_token("ann", "a"), client.service.security_token("bob", "code", START)])
    assert (answer.status, error_of(answer)) == (403, "mixed_accounts")


def test_no_security_token_is_refused_even_if_no_factor_is_required():
    """403: there must be an account to issue for."""
    assert VirtualClient(factors_required=0).issue([]).status == 403


def test_security_tokens_may_be_used_again(client):
    """An issue whose answer was lost can be repeated with the same security tokens."""
    tokens = [client.security_token()]
    assert [client.issue(tokens).status, client.issue(tokens).status] == [200, 200]


# --- refreshing ---


def test_refresh_makes_a_new_pair(client):
    """Rotation: both tokens are new, and only the new refresh token counts."""
    first = client.establish()
    client.wall += 1000
    second = Pair(client.refresh(first.refresh))
    assert second.refresh != first.refresh
    assert second.permission_expires == client.wall + 900
    assert second.refresh_expires == client.wall + 30 * DAY
    assert client.resource(second.permission).status == 200
    assert claims(second.permission)["permissions"] == ["read"]
    assert Pair(client.refresh(second.refresh)).refresh != second.refresh


def test_a_refresh_within_the_same_second_makes_other_tokens(client):
    """No two pairs share a token, whatever the clock says."""
    first = client.establish()
    second = Pair(client.refresh(first.refresh))
    assert first.permission != second.permission
    assert first.refresh != second.refresh


def test_old_permission_token_lives_on_after_a_refresh(client):
    """Callers that still hold the old token are not hurt."""
    pair = client.establish()
    client.refresh(pair.refresh)
    client.wall += 899
    assert client.resource(pair.permission).status == 200
    client.wall += 1
    assert client.resource(pair.permission).status == 401


def test_reuse_revokes_the_family(client):
    """A used refresh token ends the session: its current refresh token and all its permission tokens are refused."""
    first = client.establish()
    second = Pair(client.refresh(first.refresh))
    answer = client.refresh(first.refresh)
    assert (answer.status, error_of(answer)) == (401, "refresh_token_reused")
    assert client.refresh(second.refresh).status == 401
    assert [client.resource(pair.permission).status for pair in (first, second)] == [401, 401]
    assert client.service.statistics.reuse_detected == 1


def test_reuse_is_counted_once_per_family(client):
    """Presenting tokens of a revoked family is a plain refusal."""
    first = client.establish()
    client.refresh(first.refresh)
    assert error_of(client.refresh(first.refresh)) == "refresh_token_reused"
    assert error_of(client.refresh(first.refresh)) == "invalid_refresh_token"
    assert client.service.statistics.reuse_detected == 1


def test_reuse_hurts_no_other_session(client):
    """Sessions under different token ids are independent."""
    first, other = client.establish(), client.establish(OTHER_TOKEN_ID)
    client.refresh(first.refresh)
    client.refresh(first.refresh)
    assert client.resource(other.permission).status == 200
    assert client.refresh(other.refresh).status == 200


def test_grace_answers_the_same_pair_byte_for_byte():
    """The same refresh token with the same request id, inside the window, is answered the same; it is no reuse."""
    client = VirtualClient(grace=30)
    first, request_id = client.establish(), str(uuid4())
    answer = client.refresh(first.refresh, request_id)
    client.wall += 30
    again = client.refresh(first.refresh, request_id)
    assert again.body == answer.body
    assert client.refresh(Pair(answer).refresh).status == 200
    statistics = client.service.statistics
    assert (statistics.refreshes, statistics.replayed, statistics.reuse_detected) == (2, 1, 0)


def test_grace_demands_the_same_request_id():
    """Another request id is another party: reuse."""
    client = VirtualClient(grace=30)
    first = client.establish()
    client.refresh(first.refresh)
    assert error_of(client.refresh(first.refresh)) == "refresh_token_reused"


def test_grace_for_any_request_id():
    """The option drops that demand; the pair is the same, the request id that of the question."""
    client = VirtualClient(grace=30, grace_any_request_id=True)
    first, request_id = client.establish(), str(uuid4())
    answer = json.loads(client.refresh(first.refresh).body)
    again = json.loads(client.refresh(first.refresh, request_id).body)
    assert again["data"] == answer["data"]
    assert again["requestId"] == request_id


def test_grace_ends_with_the_window():
    """After the window, even the same question is reuse."""
    client = VirtualClient(grace=30)
    first, request_id = client.establish(), str(uuid4())
    client.refresh(first.refresh, request_id)
    client.wall += 31
    assert error_of(client.refresh(first.refresh, request_id)) == "refresh_token_reused"


def test_grace_does_not_answer_with_a_revoked_successor():
    """What was revoked is not handed out again."""
    client = VirtualClient(grace=30)
    first, request_id = client.establish(), str(uuid4())
    client.refresh(first.refresh, request_id)
    client.service.revoke(TOKEN_ID)
    assert error_of(client.refresh(first.refresh, request_id)) == "invalid_refresh_token"


def test_grace_is_a_duration_of_the_clock_handed_in():
    """Moving the clock that the service shows does not end the window."""
    client = VirtualClient(grace=30)
    first, request_id = client.establish(), str(uuid4())
    client.refresh(first.refresh, request_id)
    client.service.clock_offset = 3600
    assert client.refresh(first.refresh, request_id).status == 200


def test_expired_refresh_token_is_refused():
    """A refresh token lives for its lifetime; that it was used before does not matter then."""
    client = VirtualClient(refresh_lifetime=100)
    first = client.establish()
    client.refresh(first.refresh)
    client.wall += 100
    answer = client.refresh(first.refresh)
    assert (answer.status, error_of(answer)) == (401, "invalid_refresh_token")
    assert client.service.statistics.reuse_detected == 0


def test_without_rotation_the_refresh_token_stays():
    """The option rotation=False: a new permission token, the old refresh token and its old expiry."""
    client = VirtualClient(rotation=False)
    first = client.establish()
    client.wall += 10
    second = Pair(client.refresh(first.refresh))
    assert (second.refresh, second.refresh_expires) == (first.refresh, first.refresh_expires)
    assert second.permission != first.permission
    assert client.refresh(first.refresh).status == 200


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "\ud800"])
def test_refresh_token_of_nobody_is_refused(client, token):
    """401, and the journal does not repeat it."""
    assert client.refresh(token).status == 401
    assert not token or token not in repr(client.service.journal)


def test_permission_token_is_no_refresh_token(client):
    """401 for a token of another kind, and the session is not hurt."""
    pair = client.establish()
    assert client.refresh(pair.permission).status == 401
    assert client.refresh(pair.refresh).status == 200


def test_token_of_a_forgotten_service_is_refused(client):
    """A service of the same seed has the same key, but not the session: 401."""
    pair = client.establish()
    reborn = VirtualClient()
    assert error_of(reborn.refresh(pair.refresh)) == "invalid_refresh_token"
    assert reborn.resource(pair.permission).status == 401


# --- token ids ---


def test_issuing_again_under_a_token_id_voids_the_refresh_token_before(client):
    """WIRE.md, Words: a plain refusal, no reuse, and the new session is not hurt."""
    first, second = client.establish(), client.establish()
    answer = client.refresh(first.refresh)
    assert (answer.status, error_of(answer)) == (401, "invalid_refresh_token")
    assert client.service.statistics.reuse_detected == 0
    assert client.refresh(second.refresh).status == 200


def test_used_token_of_a_voided_session_is_a_plain_refusal(client):
    """Nor does a token that was used before the new issue count as reuse."""
    first = client.establish()
    client.refresh(first.refresh)
    second = client.establish(TOKEN_ID.upper())
    assert error_of(client.refresh(first.refresh)) == "invalid_refresh_token"
    assert client.refresh(second.refresh).status == 200


def test_permission_tokens_outlive_a_new_issue(client):
    """WIRE.md speaks of the refresh token only."""
    first = client.establish()
    client.establish()
    assert client.resource(first.permission).status == 200


def test_token_id_is_of_its_account():
    """Two accounts, or an account and a merchant, may have the same token id."""
    client = VirtualClient(accounts={"ann": "a", "bob": "b"})
    pairs = [Pair(client.issue([client.security_token(*each)])) for each in (("ann", "a"), ("bob", "b"))]
    pairs.append(Pair(client.issue_by_key()))
    assert [client.refresh(pair.refresh).status for pair in pairs] == [200, 200, 200]


# --- the protected resource ---


@pytest.mark.parametrize("token", ["x", "a.b.c", ""])
def test_resource_refuses_what_is_no_token(client, token):
    """401, with a challenge by RFC 6750."""
    answer = client.resource(token)
    assert answer.status == 401
    assert answer.header("www-authenticate") == ('Bearer error="invalid_token"' if token else "Bearer")


def test_resource_without_authorization(client):
    """RFC 6750, section 3.1: no error code for who has not tried."""
    answer = client.resource(None)
    assert (answer.status, answer.header("www-authenticate")) == (401, "Bearer")


def test_resource_refuses_refresh_tokens(client):
    """A refresh token opens nothing."""
    assert client.resource(client.establish().refresh).status == 401


def test_scheme_is_read_in_any_case(client):
    """RFC 9110, section 11.1: authentication schemes have no case."""
    token = client.establish().permission
    url = client.service.base_path + RESOURCE_PATH
    assert client.send(Request("GET", url, (("AUTHORIZATION", "bEARER " + token),), b"")).status == 200


# --- operators ---


def test_revoke_ends_sessions_under_a_token_id(client):
    """Refresh and permission tokens are refused; other sessions are not."""
    first, other = client.establish(), client.establish(OTHER_TOKEN_ID)
    client.service.revoke(TOKEN_ID)
    assert (client.refresh(first.refresh).status, client.resource(first.permission).status) == (401, 401)
    assert (client.refresh(other.refresh).status, client.resource(other.permission).status) == (200, 200)


def test_revoke_permission_tokens_only(client):
    """FIELD.md, S9: a token that looks fresh is refused, and a refresh mends it."""
    pair = client.establish()
    client.service.revoke_permission_tokens()
    assert client.resource(pair.permission).status == 401
    assert client.resource(Pair(client.refresh(pair.refresh)).permission).status == 200


def test_expire_refresh_tokens_only(client):
    """The session cannot be refreshed any more, as if its time had come; no reuse; permission tokens live on."""
    first = client.establish()
    client.refresh(first.refresh)
    client.service.expire_refresh_tokens()
    assert error_of(client.refresh(first.refresh)) == "invalid_refresh_token"
    assert client.resource(first.permission).status == 200


def test_expiring_does_not_unrevoke(client):
    """What was revoked stays refused."""
    pair = client.establish()
    client.service.revoke()
    client.service.expire_refresh_tokens()
    assert client.resource(pair.permission).status == 401


# --- time ---


@pytest.mark.parametrize("offset", [-7200, 0, 7200.5])
def test_the_clock_of_the_service(offset):
    """iat, exp, expiresAt and Date are all on the service's clock, which is the given one plus the offset."""
    client = VirtualClient(clock_offset=offset)
    answer = client.issue()
    now = int(START + offset)
    token = claims(Pair(answer).permission)
    assert (token["iat"], token["exp"], Pair(answer).permission_expires) == (now, now + 900, now + 900)
    assert (
        answer.header("date")
        == {
            -7200: "Tue, 14 Nov 2023 20:13:20 GMT",
            0: "Tue, 14 Nov 2023 22:13:20 GMT",
            7200.5: "Wed, 15 Nov 2023 00:13:20 GMT",
        }[offset]
    )


def test_expiry_is_judged_by_the_clock_of_the_service(client):
    """Moving the service's clock ages its tokens."""
    pair = client.establish()
    client.service.clock_offset = 900
    assert client.resource(pair.permission).status == 401
    assert client.refresh(pair.refresh).status == 200


@pytest.mark.parametrize("setting", ["permission_lifetime", "refresh_lifetime"])
def test_lifetimes_are_settable_while_running(client, setting):
    """Every setting is an attribute."""
    setattr(client.service, setting, 42)
    pair = client.establish()
    expires = pair.permission_expires if setting == "permission_lifetime" else pair.refresh_expires
    assert expires == START + 42


# --- requests that are wrong ---


@pytest.mark.parametrize("path", [CREDENTIALS_PATH, ISSUE_PATH, KEY_PATH, REFRESH_PATH])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff", [], {}, {"tokenId": 1}])
def test_malformed_bodies_are_answered_400(client, path, content):
    """400 with the request id, an error and a message; and it is counted."""
    request_id = str(uuid4())
    answer = client.post(path, content, request_id)
    assert (answer.status, error_of(answer)) == (400, "malformed_request")
    assert json.loads(answer.body)["requestId"] == request_id
    assert client.service.statistics.malformed == 1


def test_token_id_must_be_a_uuid(client):
    """WIRE.md, Words: a token id is a UUID."""
    assert client.issue(token_id="my phone").status == 400


def test_request_id_must_be_a_uuid_and_nothing_else_is_echoed(client):
    """WIRE.md, Requests: `request-id: <uuid4>`."""
    answer = client.post(REFRESH_PATH, {"permissionRefreshToken": "x"}, "my secret")
    assert answer.status == 400
    assert json.loads(answer.body)["requestId"] is None
    assert "my secret" not in repr(client.service.journal)


@pytest.mark.parametrize("path", ["/", "/api", "/api/permission/refresh/", "/API/permission/refresh"])
def test_unknown_paths_are_answered_404(client, path):
    """404 below the base path, and the kind is unknown."""
    assert client.post(path, {}).status == 404
    assert client.service.journal[-1].kind == "unknown"


def test_paths_outside_the_base_path_are_answered_404(client):
    """Nothing is served beside the base path."""
    assert client.send(Request("POST", "http://host/api/permission/refresh", (), b"{}")).status == 404


@pytest.mark.parametrize(("path", "method", "allowed"), [(REFRESH_PATH, "GET", "POST"), (RESOURCE_PATH, "POST", "GET")])
def test_other_methods_are_answered_405(client, path, method, allowed):
    """405, and the header Allow says which method."""
    answer = client.post(path, {}, method=method)
    assert (answer.status, answer.header("allow")) == (405, allowed)


def test_paths_and_fields_are_settable():
    """WIRE.md, Requests: the refresh path and its body are inferred, so both can be others."""
    client = VirtualClient(base_path="/v2", refresh_path="/renew", refresh_field="token")
    pair = client.establish()
    assert client.post(REFRESH_PATH, {"permissionRefreshToken": pair.refresh}).status == 404
    assert client.post("/renew", {"permissionRefreshToken": pair.refresh}).status == 400
    assert client.post("/renew", {"token": pair.refresh}).status == 200


def test_the_query_of_an_url_does_not_matter(client):
    """Routing is by the path alone, of an absolute URL or of none."""
    token = client.establish().permission
    url = client.service.base_path + RESOURCE_PATH + "?x=1"
    assert client.send(Request("GET", url, (("authorization", "Bearer " + token),), b"")).status == 200


# --- chance, statistics, journal ---


def story(seed):
    client = VirtualClient(random=Random(seed), grace=10)
    ids = Random(seed + 1)
    pair = client.establish()
    answers = [client.refresh(pair.refresh, f"{ids.getrandbits(32):08x}-0000-4000-8000-000000000000")]
    answers.append(client.refresh(Pair(answers[0]).refresh, TOKEN_ID))
    return [(answer.headers, answer.body) for answer in answers]


def test_a_seed_replays_a_run_byte_for_byte():
    """With a seeded source, the same requests at the same times get the same answers."""
    assert story(1) == story(1)
    assert story(1) != story(2)


def test_without_a_source_services_differ():
    """By default keys, passwords and ids come from the operating system."""
    one, other = AuthorizationService(), AuthorizationService()
    assert one.credentials != other.credentials
    assert one.merchant_key != other.merchant_key
    assert one.fingerprint("x") != other.fingerprint("x")


def test_statistics(client):
    """Every request is counted once as a request, and once as what became of it."""
    pair = client.establish()
    client.verify(password="wrong")
    client.refresh(pair.refresh)
    client.resource(pair.permission)
    client.refresh(pair.refresh)
    client.resource(pair.permission)
    client.post("/", {})
    assert vars(client.service.statistics) == {
        "requests": 8,
        "not_acted": 0,
        "verified": 1,
        "issued": 1,
        "refreshes": 1,
        "replayed": 0,
        "reuse_detected": 1,
        "refused": 2,
        "malformed": 1,
        "resource_ok": 1,
        "resource_refused": 1,
    }


def test_journal(client):
    """One entry for each request: what, which, whose, when, and with what outcome."""
    request_id = str(uuid4())
    pair = client.establish()
    client.wall += 1
    client.refresh(pair.refresh, request_id)
    client.refresh(pair.refresh)
    client.resource(pair.permission)
    seen = [(entry.kind, entry.outcome, entry.status, entry.wall - START) for entry in client.service.journal]
    assert seen == [
        ("credentials", "verified", 200, 0),
        ("issue", "issued", 200, 0),
        ("refresh", "refreshed", 200, 1),
        ("refresh", "reuse", 401, 1),
        ("resource", "refused", 401, 1),
    ]
    issue, refresh, reuse, resource = client.service.journal[1:]
    assert refresh.request_id == request_id
    assert refresh.fingerprint == reuse.fingerprint == client.service.fingerprint(pair.refresh)
    assert resource.fingerprint == client.service.fingerprint(pair.permission)
    assert len({entry.family for entry in (issue, refresh, reuse, resource)}) == 1
    assert [entry.generation for entry in (issue, refresh, reuse, resource)] == [1, 1, 1, 1]


def test_unacted_requests_are_journalled(client):
    """A request that a fault keeps from the service is seen all the same, and counted as not acted."""
    request = Request("POST", client.service.base_path + REFRESH_PATH, (("request-id", TOKEN_ID),), b"")
    client.service.note_unacted(request, START, 503, "status")
    entry = client.service.journal[-1]
    assert (entry.kind, entry.request_id, entry.status, entry.outcome) == ("refresh", TOKEN_ID, 503, "not acted")
    assert entry.fault == "status"
    assert (client.service.statistics.requests, client.service.statistics.not_acted) == (1, 1)


def test_unreadable_requests_are_journalled(client):
    """What was not even a request is one more entry: of no kind, without an id, on the clock handed in."""
    client.service.clock_offset = 3600
    assert client.service.refuse_unreadable(START, 413, "too long").status == 413
    assert client.service.journal == [JournalEntry("unknown", None, 413, "malformed", START)]
    assert (client.service.statistics.requests, client.service.statistics.malformed) == (1, 1)


def test_no_secret_in_any_repr_or_refusal(client):
    """DESIGN.md, invariant 9: passwords, keys and tokens show nowhere but in the answers they belong to."""
    pair = client.establish()
    client.refresh(pair.refresh)
    refusals = [client.refresh(pair.refresh), client.resource(pair.permission), client.issue_by_key("my-key")]
    service = client.service
    shown = " ".join(map(repr, (service, service.journal, service.statistics, *refusals)))
    shown += " ".join(str(answer.body) for answer in refusals)
    for secret in (pair.permission, pair.refresh, service.credentials.password, service.merchant_key, "my-key"):
        assert secret not in shown
        assert secret.rpartition(".")[2] not in shown
