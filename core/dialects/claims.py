# What a JSON Web Token says of itself (RFC 7519), read without verifying it: a client holds no key. Never decide on
# trust by these claims; they are for reckoning a lifetime and for showing whose token it is.

import binascii
import json

__all__ = ["UnverifiedClaims", "read_span", "read_unverified_claims"]


class UnverifiedClaims:
    """The claims of a permission token, as the token itself states them. NOT verified (WIRE.md, Answers).

    Attributes:
        account_id: UUID of the account, or None (a merchant's token has none).
        merchant_id: UUID of the merchant, or None.
        permissions: the permissions that were granted, a tuple of strings.
        issuer: who says that it issued the token, or None.
        issued_at: Unix time on the service's clock, or None.
        expires_at: Unix time on the service's clock, or None.
    """

    __slots__ = ("account_id", "merchant_id", "permissions", "issuer", "issued_at", "expires_at")

    def __init__(self, claims: "dict[str, object]") -> None:
        permissions = claims.get("permissions")
        listed = permissions if isinstance(permissions, list) else []
        self.account_id = _text_or_none(claims.get("accountId"))
        self.merchant_id = _text_or_none(claims.get("merchantId"))
        self.permissions = tuple([item for item in listed if isinstance(item, str)])
        self.issuer = _text_or_none(claims.get("iss"))
        self.issued_at = _time_or_none(claims.get("iat"))
        self.expires_at = _time_or_none(claims.get("exp"))

    @property
    def lifetime(self) -> "int | None":
        """Seconds from `issued_at` to `expires_at`, or None if the token does not say both, or says nonsense."""
        span = _span(self.issued_at, self.expires_at)
        return None if span is None else span[1]

    def __repr__(self) -> str:
        return (
            f"<UnverifiedClaims account {self.account_id}, merchant {self.merchant_id}, permissions {self.permissions}>"
        )


def read_unverified_claims(token: str) -> "UnverifiedClaims | None":
    """Return what `token` says of itself, or None if it is not a JWT: a client must cope with opaque tokens."""
    claims = _claims_of(token)
    return None if claims is None else UnverifiedClaims(claims)


def read_span(token: str) -> "tuple[int, int] | None":
    """Return when `token` says that it was issued (Unix time on the service's clock) and how many seconds it lives.

    None if it does not say both, or says nonsense. All that every answer needs of the claims, and nothing else.
    """
    claims = _claims_of(token)
    return None if claims is None else _span(_time_or_none(claims.get("iat")), _time_or_none(claims.get("exp")))


def _claims_of(token: str) -> "dict[str, object] | None":
    parts = token.split(".")
    if len(parts) != 3:
        return None
    payload = parts[1].replace("-", "+").replace("_", "/")
    try:
        claims = json.loads(binascii.a2b_base64(payload + "=" * (-len(payload) % 4)).decode("utf-8"))
    except (ValueError, RuntimeError, MemoryError):  # the latter two: nested too deep for the parser
        return None
    return claims if isinstance(claims, dict) else None


def _span(issued_at: "int | None", expires_at: "int | None") -> "tuple[int, int] | None":
    if issued_at is None or expires_at is None or expires_at <= issued_at:
        return None
    return issued_at, expires_at - issued_at


def _text_or_none(value: object) -> "str | None":
    return value if isinstance(value, str) else None


def _time_or_none(value: object) -> "int | None":
    """Return a NumericDate as whole seconds. The bounds also keep out NaN, infinity and milliseconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 100_000_000_000:
        return None
    return int(value)
