import subprocess
import sys

import jwt
import pytest
from tenure.transports.emulator.tokens import Grant, SecurityGrant, TokenMint, TokenRefused

NOW = 1_700_000_000.5
CLAIMS = {"accountId": "a", "merchantId": "m", "permissions": ["read"]}


@pytest.fixture
def mint():
    return TokenMint(b"k" * 32)


def test_permission_token_has_exactly_the_documented_claims(mint):
    """WIRE.md, Answers: magic, accountId, merchantId, permissions, iat, exp, iss."""
    token = mint.permission_token(Grant("f", 1), CLAIMS, NOW, 900)
    assert jwt.decode(token.text, options={"verify_signature": False}) == {
        "magic": "permissionTokenSchema",
        **CLAIMS,
        "iat": 1_700_000_000,
        "exp": 1_700_000_900,
        "iss": "authorization-service",
    }
    assert token.expires_at == 1_700_000_900


def test_permission_tokens_of_one_second_differ(mint):
    """Two sessions, and two tokens of one session, never share a permission token."""
    grants = [Grant("f", 1), Grant("f", 2), Grant("g", 1)]
    assert len({mint.permission_token(grant, CLAIMS, NOW, 900).text for grant in grants}) == 3


def test_tokens_are_read_back(mint):
    """What was signed is what is read."""
    permission = mint.permission_token(Grant("f", 7), CLAIMS, NOW, 900)
    refresh = mint.refresh_token(Grant("f", 3), "j", NOW, 1000)
    security = mint.security_token(SecurityGrant("a", "credentials"), "j", NOW, 300)
    grant, claims = mint.read_permission_token(permission.text, NOW)
    assert grant == Grant("f", 7)
    assert claims["permissions"] == ["read"]
    assert mint.read_refresh_token(refresh.text, NOW) == (Grant("f", 3), refresh)
    assert mint.read_security_token(security.text, NOW) == SecurityGrant("a", "credentials")


def test_refresh_token_claims(mint):
    """A refresh token is a JWT with jti, family, generation, iat and exp."""
    token = mint.refresh_token(Grant("f", 3), "j", NOW, 1000).text
    claims = jwt.decode(token, options={"verify_signature": False})
    assert {key: claims[key] for key in ("jti", "family", "generation", "iat", "exp")} == {
        "jti": "j",
        "family": "f",
        "generation": 3,
        "iat": 1_700_000_000,
        "exp": 1_700_001_000,
    }


@pytest.mark.parametrize(("now", "good"), [(1_700_000_299.9, True), (1_700_000_300, False), (1_600_000_000, True)])
def test_expiry_is_judged_by_the_time_handed_in(mint, now, good):
    """A token is good until `exp`, exclusively; a clock set back makes it no worse."""
    token = mint.security_token(SecurityGrant("a", "credentials"), "j", NOW, 300).text
    if good:
        mint.read_security_token(token, now)
    else:
        with pytest.raises(TokenRefused, match="expired"):
            mint.read_security_token(token, now)


def test_token_of_another_kind_is_refused(mint):
    """No token passes for one of another kind."""
    tokens = {
        "permission": mint.permission_token(Grant("f", 1), CLAIMS, NOW, 900).text,
        "refresh": mint.refresh_token(Grant("f", 1), "j", NOW, 900).text,
        "security": mint.security_token(SecurityGrant("a", "x"), "j", NOW, 900).text,
    }
    for kind, read in (
        ("permission", mint.read_permission_token),
        ("refresh", mint.read_refresh_token),
        ("security", mint.read_security_token),
    ):
        for other in tokens.keys() - {kind}:
            with pytest.raises(TokenRefused, match="another kind"):
                read(tokens[other], NOW)


def forged(key=b"x" * 32, algorithm="HS256"):
    return jwt.encode({"magic": "permissionRefreshTokenSchema", "family": "f", "generation": 1}, key, algorithm)


@pytest.mark.parametrize(
    "text",
    ["", "a", "a.b.c", "\ud800", "é.é.é", "." * 1000, "[" * 100_000, forged(), forged(None, "none")],
    ids=["empty", "short", "dots", "surrogate", "umlauts", "many-dots", "long", "foreign-key", "unsigned"],
)
def test_whatever_is_not_ours_is_refused(mint, text):
    """Nothing but a token signed with this service's key is believed, and nothing makes reading fail otherwise."""
    with pytest.raises(TokenRefused) as refusal:
        mint.read_refresh_token(text, NOW)
    assert not text or text not in str(refusal.value)


def test_deeply_nested_header_is_refused(mint):
    """A header that exhausts the recursion limit is refused like any other nonsense."""
    text = jwt.utils.base64url_encode(b'{"a":' + b"[" * 200_000).decode() + ".e30.e30"
    with pytest.raises(TokenRefused):
        mint.read_refresh_token(text, NOW)


def test_fingerprints_are_keyed():
    """Equal texts have equal fingerprints, but not in another service: a journal gives nothing to try candidates on."""
    assert TokenMint(b"k" * 32).fingerprint("secret") == TokenMint(b"k" * 32).fingerprint("secret")
    assert TokenMint(b"k" * 32).fingerprint("secret") != TokenMint(b"l" * 32).fingerprint("secret")
    assert len(TokenMint(b"k" * 32).fingerprint("\ud800")) == 16


def test_no_secret_in_any_repr(mint):
    """Neither key nor token shows."""
    token = mint.refresh_token(Grant("f", 1), "j", NOW, 900)
    assert repr(mint) == "<TokenMint>"
    assert token.text not in repr(token)


def test_missing_pyjwt_says_which_extra_to_install():
    """DESIGN.md, Packaging: an import without its extra says which extra to install."""
    program = "import sys; sys.modules['jwt'] = None\nimport tenure.transports.emulator"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "pip install 'tenure[emulator]'" in run.stderr
