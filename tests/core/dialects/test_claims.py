# claims.py: what a token says of itself, unverified.

import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenure import read_unverified_claims

from ..partner import jwt


def raw_jwt(payload: bytes) -> str:
    """Return a token with any bytes as its payload."""
    return f"e30.{urlsafe_b64encode(payload).rstrip(b'=').decode()}.c2ln"


def test_claims_of_a_permission_token() -> None:
    """WIRE.md, Answers: the documented claims, under our names."""
    claims = read_unverified_claims(
        jwt(
            magic="permissionTokenSchema",
            accountId="account",
            merchantId="merchant",
            permissions=["read", "secret"],
            iat=1000,
            exp=1900,
            iss="authorization-service",
        )
    )
    assert claims is not None
    assert (claims.account_id, claims.merchant_id, claims.permissions) == ("account", "merchant", ("read", "secret"))
    assert (claims.issuer, claims.issued_at, claims.expires_at) == ("authorization-service", 1000, 1900)
    assert claims.lifetime == 900
    assert repr(claims) == "<UnverifiedClaims account account, merchant merchant, permissions ('read', 'secret')>"


def test_claims_that_are_missing_or_of_a_wrong_type_are_none() -> None:
    """A stranger's word is taken only where it has the promised type."""
    for token in (jwt(), jwt(accountId=None, merchantId=1, permissions="read", iss=["x"], iat="1", exp=True)):
        claims = read_unverified_claims(token)
        assert claims is not None
        assert (claims.account_id, claims.merchant_id, claims.permissions, claims.issuer) == (None, None, (), None)
        assert (claims.issued_at, claims.expires_at, claims.lifetime) == (None, None, None)


def test_only_the_strings_among_permissions_count() -> None:
    """Nonsense in the list is left out."""
    claims = read_unverified_claims(jwt(permissions=["read", 1, None, ["x"]]))
    assert claims is not None
    assert claims.permissions == ("read",)


@pytest.mark.parametrize(
    ("iat", "exp", "lifetime"),
    [
        (1000, 1900, 900),
        (1000.9, 1900.2, 900),
        (1000, 1001, 1),
        (0.5, 10, 10),
        (1000, 1000, None),
        (1900, 1000, None),
        (0, 900, None),
        (-5, 900, None),
        (None, 1900, None),
        (1000, None, None),
        (True, 1900, None),
        (1000, 1e308, None),
        (1000, 10**400, None),
        (1000, 1688453621000, None),
        (float("nan"), 900, None),
        (1000, float("inf"), None),
        (99_999_999_000, 99_999_999_999, 999),
        (1000, 100_000_000_000, None),
    ],
)
def test_lifetime_is_exp_minus_iat_or_unknown(iat: object, exp: object, lifetime: "int | None") -> None:
    """DESIGN.md, Lifetimes: exp - iat; nonsense, milliseconds and what is no number say nothing."""
    claims = read_unverified_claims(jwt(iat=iat, exp=exp))
    assert claims is not None
    assert claims.lifetime == lifetime


@pytest.mark.parametrize(
    "token",
    [
        "",
        "opaque",
        "a.b",
        "a.b.c.d",
        "a..c",
        "a.!!!.c",
        "a.é.c",
        "a.A.c",
        raw_jwt(b"\xff\xfe"),
        raw_jwt(b"{"),
        raw_jwt(b"[1]"),
        raw_jwt(b"null"),
        raw_jwt(b'"text"'),
        raw_jwt(b'{"exp": ' + b"1" * 5000 + b"}"),
        raw_jwt(b"[" * 200_000),
        raw_jwt(b'{"a":' * 100_000),
    ],
    ids=range(16),
)
def test_what_is_no_jwt_says_nothing(token: str) -> None:
    """A client must cope with opaque tokens, absurd nesting and absurd numbers included."""
    assert read_unverified_claims(token) is None


def test_every_length_of_payload_is_unpadded_rightly() -> None:
    """RFC 7515, section 2: base64url without padding, whatever remains modulo 4; and with its two own characters."""
    for length in range(8):
        text = "ÿ???>>>" + "x" * length  # three in a row: one of them begins on a boundary of six bits
        token = raw_jwt(json.dumps({"iss": text}, ensure_ascii=False).encode())
        assert {"-", "_"} <= set(token)
        claims = read_unverified_claims(token)
        assert claims is not None
        assert claims.issuer == text


@given(st.text())
def test_any_text_is_read_or_not(token: str) -> None:
    """Fuzz: the parser never raises."""
    read_unverified_claims(token)
    read_unverified_claims(f"a.{token}.c")


@given(st.binary(max_size=200))
def test_any_payload_is_read_or_not(payload: bytes) -> None:
    """Fuzz: the parser never raises, whatever was signed."""
    read_unverified_claims(raw_jwt(payload))


@pytest.mark.once
@given(
    st.dictionaries(
        st.sampled_from(["iat", "exp", "permissions", "iss"]),
        st.none() | st.booleans() | st.floats() | st.integers() | st.lists(st.text()),
    )
)
def test_any_claims_are_read(claims: "dict[str, object]") -> None:
    """Fuzz: any JSON value under the names that count."""
    read = read_unverified_claims(jwt(**claims))
    assert read is not None
    assert read.lifetime is None or read.lifetime > 0
