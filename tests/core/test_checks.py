# checks.py: is this argument fit for use?

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenure import UsageError
from tenure.checks import check_list, check_text, check_token_id, check_url, is_header_safe


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://host/authorization/v1", "https://host/authorization/v1"),
        ("https://host/authorization/v1/", "https://host/authorization/v1"),
        ("https://host//", "https://host"),
        ("https://host/X/", "https://host/X"),
        ("https://host/a://b", "https://host/a://b"),
        ("https://host", "https://host"),
        ("HTTPS://Host.Example:8443/a", "https://Host.Example:8443/a"),
        ("https://h_o-s.t:1/", "https://h_o-s.t:1"),
        ("https://host:65535", "https://host:65535"),
        ("https://host:00080", "https://host:00080"),
        ("https://[::1]:8080/x", "https://[::1]:8080/x"),
        ("https://[fe80::a.1]/x", "https://[fe80::a.1]/x"),
        ("https://[FE80::A]/x", "https://[FE80::A]/x"),
        ("https://host/a%20b:@c", "https://host/a%20b:@c"),
        ("http://localhost/x", "http://localhost/x"),
        ("http://LOCALHOST:80", "http://LOCALHOST:80"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.255.0.255", "http://127.255.0.255"),
        ("http://[::1]", "http://[::1]"),
    ],
)
def test_fit_urls(url: str, plain: str) -> None:
    """A base url comes back without its trailing slash; plain http only to loopback (invariant 9)."""
    assert check_url(url) == plain


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (None, "url must be a string, not NoneType"),
        (b"https://h", "url must be a string, not bytes"),
        ("", "url must not be empty"),
        ("host/authorization", "must start with https://"),
        ("ftp://host", "must start with https://"),
        ("https:/host", "must start with https://"),
        ("://host", "must start with https://"),
        (" https://host", "must start with https://"),
        ("https://", "no valid host"),
        ("https:///path", "no valid host"),
        ("https://:80", "no valid host"),
        ("https://ho*st", "no valid host"),
        ("https://host\\@evil", "user name or password"),
        ("https://host\\evil", "no valid host"),
        ("https://[::1", "no valid host"),
        ("https://[]", "no valid host"),
        ("https://[::g]", "no valid host"),
        ("https://[::X]", "no valid host"),
        ("https://[::1]x", "no valid port"),
        ("https://[::1]80", "no valid port"),
        ("https://[::1]]", "no valid port"),
        ("https://host:", "no valid port"),
        ("https://host:0", "no valid port"),
        ("https://host:65536", "no valid port"),
        ("https://host:000080", "no valid port"),
        ("https://host:-1", "no valid port"),
        ("https://host:8a", "no valid port"),
        ("https://host:80:80", "no valid port"),
        ("https://ho st", "visible ASCII"),
        ("https://host/\r\nx: y", "visible ASCII"),
        ("https://höst", "visible ASCII"),
        ("https://host/\x7f", "visible ASCII"),
        ("https://host:²", "visible ASCII"),
        ("https://user@host", "user name or password"),
        ("https://user:hunter2@host", "user name or password"),
        ("https://host/p?q", "query or fragment"),
        ("https://host?q", "query or fragment"),
        ("https://host/p#f", "query or fragment"),
        ("http://host", "plain http to another machine"),
        ("http://127.0.0.1.evil.example", "plain http to another machine"),
        ("http://127.1", "plain http to another machine"),
        ("http://127.0.0.256", "plain http to another machine"),
        ("http://127.0.0.x", "plain http to another machine"),
        ("http://128.0.0.1", "plain http to another machine"),
        ("http://localhost.evil.example", "plain http to another machine"),
        ("http://[::2]", "plain http to another machine"),
        ("http://1270.0.0.1", "plain http to another machine"),
    ],
)
def test_unfit_urls(url: object, why: str) -> None:
    """Each is refused early, with what is wrong, and without showing the url: it may hold a password."""
    with pytest.raises(UsageError, match=why) as caught:
        check_url(url)
    assert "hunter2" not in str(caught.value)


def test_url_that_needs_no_change_is_the_same_object() -> None:
    """Thousands of sessions are made of one url (DESIGN.md, Numbers): they share it."""
    url = "https://host/authorization/v1"
    assert check_url(url) is url


@pytest.mark.parametrize("url", ["https://host:" + "1" * 5000, "http://127.0.0." + "1" * 5000])
def test_absurd_numbers_in_urls_are_refused(url: str) -> None:
    """Whatever stands in a url, the answer is a UsageError."""
    with pytest.raises(UsageError):
        check_url(url)


@given(st.text(max_size=30))
def test_any_url_is_taken_or_refused(rest: str) -> None:
    """Nothing but UsageError ever comes out, and nothing unfit for a request line ever comes through."""
    for scheme in ("https://", "http://"):
        try:
            url = check_url(scheme + rest)
        except UsageError:
            continue
        assert is_header_safe(url)
        assert not set(url) & set("?# ")


def test_allow_http_permits_other_machines_and_nothing_else() -> None:
    """Invariant 9: only if the user says so; the other checks stay."""
    assert check_url("http://host/x", allow_http=True) == "http://host/x"
    with pytest.raises(UsageError, match="user name or password"):
        check_url("http://user@host", allow_http=True)


@pytest.mark.parametrize(("value", "why"), [(1, "not int"), (b"x", "not bytes"), (None, "not NoneType"), ("", "empty")])
def test_unfit_text(value: object, why: str) -> None:
    """A text is a non-empty string, and the name of the argument is in the complaint."""
    with pytest.raises(UsageError, match=f"^token_id must .*{why}"):
        check_text("token_id", value)


@pytest.mark.parametrize(
    ("value", "why"), [(5, "a string, not int"), ("", "not be empty"), ("a b", "visible ASCII"), ("ü", "visible ASCII")]
)
def test_unfit_token_ids(value: object, why: str) -> None:
    """It stands in lines of logs: nothing in it may break a line or pass for another word."""
    with pytest.raises(UsageError, match=f"^token_id must .*{why}"):
        check_token_id(value)


@pytest.mark.parametrize("value", [["a", "b"], ("a", "b")])
def test_lists_and_tuples_keep_their_order(value: object) -> None:
    """What comes back cannot be changed behind our back."""
    assert check_list("permissions", value) == ("a", "b")


@pytest.mark.parametrize("value", [{"a", "b"}, frozenset(["a", "b"])])
def test_sets_are_taken(value: object) -> None:
    """A set of permissions is a natural thing to have."""
    assert sorted(check_list("permissions", value)) == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("read", r"not a single string: wrap it, as in \[permission\]"),
        (b"read", "a list of strings, not bytes"),
        (None, "a list of strings, not NoneType"),
        ({"a": "b"}, "a list of strings, not dict"),
        ([], "must not be empty"),
        ([1], "each of permissions must be a string, not int"),
        (["a", ""], "each of permissions must not be empty"),
    ],
)
def test_unfit_lists(value: object, why: str) -> None:
    """A single string is the commonest slip: its characters would be taken for permissions."""
    with pytest.raises(UsageError, match=why):
        check_list("permissions", value)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("", False),
        ("!", True),
        ("~", True),
        (" ", False),
        ("\x7f", False),
        ("a b", False),
        ("é", False),
        ("a\n", False),
    ],
)
@pytest.mark.parametrize("has_isascii", [True, False], ids=["CPython", "MicroPython"])
def test_header_safety(text: str, safe: bool, has_isascii: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 10: visible ASCII, no spaces (RFC 9110, section 5.5), with and without what MicroPython lacks."""
    if not has_isascii:
        monkeypatch.setattr("tenure.checks._IS_ASCII", None)
    assert is_header_safe(text) is safe
