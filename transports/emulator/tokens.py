# The service's tokens: real JSON Web Tokens, signed with a key that never leaves the service.
#
# Decided here: what each kind of token claims, and when one is believed. Not known here: accounts, sessions, HTTP.
# Time is a parameter: PyJWT's own checks read the machine's clock, so they are off and expiry is checked here. The
# permission token's claims are documented; those of the other two, which only the service itself reads, are our
# own.

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

try:
    import jwt
except ImportError:
    raise ImportError("the emulator signs its tokens with PyJWT: pip install 'tenure[emulator]'") from None

__all__ = ["Grant", "SecurityGrant", "SignedToken", "TokenMint", "TokenRefused"]

ISSUER = "authorization-service"
ALGORITHM = "HS256"

# A token of one kind must never pass for another, so each says what it is and is read as nothing else.
PERMISSION = "permissionTokenSchema"
REFRESH = "permissionRefreshTokenSchema"
SECURITY = "securityTokenSchema"


class TokenRefused(Exception):
    """A token is not to be believed; the text says why, without any of the token."""


class SignedToken(NamedTuple):
    """A token as it goes out: the text, and when it expires in whole seconds on the service's clock."""

    text: str
    expires_at: int

    def __repr__(self) -> str:
        return f"<SignedToken until {self.expires_at}>"


class Grant(NamedTuple):
    """Which session a permission or refresh token belongs to, and which one of that session's tokens it
    is."""

    family: str
    number: int


class SecurityGrant(NamedTuple):
    """Which account has proven which security factor."""

    account_id: str
    factor: str


class TokenMint:
    """Makes and reads the tokens of one service.

    Args:
        key: the signing key, 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "<TokenMint>"

    def permission_token(self, grant: Grant, claims: Mapping[str, object], now: float, lifetime: int) -> SignedToken:
        """Sign a permission token; `claims` are accountId, merchantId and permissions, `lifetime` is in
        seconds."""
        # The claims are fixed by the wire format and whole seconds are coarse: two sessions of one account,
        # or two refreshes within a second, would get the same text. What tells them apart goes into the
        # signed header.
        return self._sign(PERMISSION, claims, now, lifetime, {"family": grant.family, "number": grant.number})

    def refresh_token(self, grant: Grant, token_id: str, now: float, lifetime: int) -> SignedToken:
        """Sign a refresh token; `token_id` makes it unique, `lifetime` is in seconds."""
        claims = {"jti": token_id, "family": grant.family, "generation": grant.number}
        return self._sign(REFRESH, claims, now, lifetime)

    def security_token(self, grant: SecurityGrant, token_id: str, now: float, lifetime: int) -> SignedToken:
        """Sign the proof of one security factor; `token_id` makes it unique, `lifetime` is in seconds."""
        claims = {"jti": token_id, "accountId": grant.account_id, "factor": grant.factor}
        return self._sign(SECURITY, claims, now, lifetime)

    def read_permission_token(self, text: str, now: float) -> tuple[Grant, dict[str, Any]]:
        """Return the session and the claims of a permission token, or raise `TokenRefused`."""
        header, claims = self._read(text, PERMISSION, now)
        return Grant(header["family"], header["number"]), claims

    def read_refresh_token(self, text: str, now: float) -> tuple[Grant, SignedToken]:
        """Return the session and generation of a refresh token and what it was when made, or raise
        `TokenRefused`."""
        _, claims = self._read(text, REFRESH, now)
        return Grant(claims["family"], claims["generation"]), SignedToken(text, claims["exp"])

    def read_security_token(self, text: str, now: float) -> SecurityGrant:
        """Return what a security token proves, or raise `TokenRefused`."""
        _, claims = self._read(text, SECURITY, now)
        return SecurityGrant(claims["accountId"], claims["factor"])

    def fingerprint(self, text: str) -> str:
        """Return 16 hexadecimal digits that tell texts apart in a journal.

        Keyed, so that nobody can try candidates against a journal: what clients send as a token may be a
        password.
        """
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=self._key).hexdigest()

    def _sign(
        self,
        magic: str,
        claims: Mapping[str, object],
        now: float,
        lifetime: int,
        header: dict[str, Any] | None = None,
    ) -> SignedToken:
        issued_at = int(now)
        expires_at = issued_at + int(lifetime)
        payload = {"magic": magic, **claims, "iat": issued_at, "exp": expires_at, "iss": ISSUER}
        return SignedToken(jwt.encode(payload, self._key, ALGORITHM, headers=header), expires_at)

    def _read(self, text: str, magic: str, now: float) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            token = jwt.decode_complete(
                text,
                self._key,
                algorithms=[ALGORITHM],
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False},
            )
        except (
            jwt.PyJWTError,
            ValueError,
            RecursionError,
        ):  # the latter two: lone surrogates, absurd nesting
            raise TokenRefused("it is not one of this service's tokens") from None
        claims: dict[str, Any] = token["payload"]
        if claims["magic"] != magic:
            raise TokenRefused("it is a token of another kind")
        if now >= claims["exp"]:
            raise TokenRefused("it has expired")
        return token["header"], claims
