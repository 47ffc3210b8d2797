# Is this argument fit for use? Refused early, with what was wrong and what to do, and without showing the value: it may
# be a secret, or hold one (a password in a url).

from .errors import UsageError

__all__ = ["check_url", "check_text", "check_token_id", "check_list", "is_header_safe"]

_IS_ASCII: "Callable[[str], bool] | None" = getattr(str, "isascii", None)  # MicroPython has no such thing
_LABEL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"


def check_text(name: str, value: object) -> str:
    """Return `value` if it is a non-empty string, else raise UsageError."""
    if not isinstance(value, str):
        raise UsageError(f"{name} must be a string, not {type(value).__name__}")
    if not value:
        raise UsageError(f"{name} must not be empty")
    return value


def check_token_id(value: object) -> str:
    """Return `value` if it is a string that may stand in a line of a log."""
    text = check_text("token_id", value)
    if not is_header_safe(text):
        raise UsageError("token_id must be visible ASCII without spaces: a UUID")
    return text


def check_list(name: str, value: object) -> "tuple[str, ...]":
    """Return `value` as a tuple if it is a list, tuple or set of at least one non-empty string."""
    if isinstance(value, str):
        raise UsageError(f"{name} must be a list of strings, not a single string: wrap it, as in [{name[:-1]}]")
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise UsageError(f"{name} must be a list of strings, not {type(value).__name__}")
    if not value:
        raise UsageError(f"{name} must not be empty: give at least one")
    return tuple([check_text(f"each of {name}", item) for item in value])


def check_url(url: object, allow_http: bool = False) -> str:
    """Return the base url without its trailing slash.

    Raises:
        UsageError: it has no scheme or host, or has credentials, a query or a fragment in it, or is plain http to a
            host other than loopback without `allow_http` (invariant 9).
    """
    text = check_text("url", url)
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in ("https", "http"):
        raise UsageError("url must start with https:// (or http:// for a service on this machine)")
    if not is_header_safe(rest) and rest:
        raise UsageError("url must be visible ASCII: percent-encode the path, and write the host as punycode")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        raise UsageError("url must not hold a user name or password: leave out what stands before the @")
    if "?" in rest or "#" in rest:
        raise UsageError("url must not have a query or fragment: leave out what follows the ? or #")
    host = _host_of(authority)
    if scheme == "http" and not allow_http and not _is_loopback(host):
        raise UsageError(
            "url is plain http to another machine, which would show the tokens to the network: use https, "
            "or pass allow_http=True if that network is yours alone"
        )
    checked = (scheme + "://" + authority + slash + path).rstrip("/")
    return text if checked == text else checked  # one string for all the sessions that were made of it


def is_header_safe(text: str) -> bool:
    """Return True if `text` is non-empty visible ASCII without spaces (RFC 9110, section 5.5)."""
    if _IS_ASCII is not None:  # of two tokens, a thirtieth of a millisecond sooner
        return bool(text) and _IS_ASCII(text) and text.isprintable() and " " not in text
    return bool(text) and min(text) >= "!" and max(text) <= "~"


def _host_of(authority: str) -> str:
    """Return the host of `host`, `host:port` or `[v6]:port`, after checking both."""
    if authority[:1] == "[":
        host, bracket, port = authority[1:].partition("]")
        fits = bool(bracket) and all(c in "0123456789abcdefABCDEF:." for c in host)
    else:
        host, colon, port = authority.partition(":")
        port = colon + port
        fits = all(c in _LABEL for c in host)
    if not host or not fits:
        raise UsageError("url has no valid host: it must look like https://host/authorization/v1")
    if port and not (port[0] == ":" and _is_number(port[1:], 65535) and int(port[1:]) > 0):
        raise UsageError("url has no valid port: it must be a number from 1 to 65535")
    return host.lower()


def _is_loopback(host: str) -> bool:
    """Return True for localhost, ::1 and 127.0.0.0/8. A name that merely begins with 127 is some other machine."""
    parts = host.split(".")
    numeric = len(parts) == 4 and all(_is_number(part, 255) for part in parts)
    return host in ("localhost", "::1") or (numeric and parts[0] == "127")


def _is_number(digits: str, most: int) -> bool:
    return digits.isdigit() and len(digits) <= 5 and int(digits) <= most


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
