# `tenure logout` and `tenure refresh`.

from tenure.transports.emulator import Emulator

from .helpers import use_resource
from .shells import Shells


def test_logout_forgets_the_session(shells: Shells, service: Emulator) -> None:
    """It is gone for every shell; and it is said that the service does not know (WIRE.md has no revocation)."""
    token = shells.token()
    out, err, code = shells.run("logout")
    assert (err, code) == ("", 0)
    assert "until they expire" in out
    assert out.endswith("To begin anew: tenure login\n")
    assert not list((shells.state / "sessions").glob("*.json"))
    assert shells.run("token")[2] == 3
    assert use_resource(service, token) == 200  # as was said
    assert shells.run("logout")[2] == 0


def test_logout_can_forget_the_profile(shells: Shells) -> None:
    """--forget: nothing is left."""
    out, err, code = shells.run("logout", "--forget")
    assert (err, code) == ("", 0)
    assert "The profile is forgotten, too." in out
    assert list((shells.config / "profiles").iterdir()) == []
    assert shells.run("token")[2] == 3


def test_logout_of_nobody(strangers: Shells) -> None:
    """Exit code 3: there is no profile that says where."""
    assert strangers.run("logout")[2] == 3


def test_refresh_really_refreshes_and_once(shells: Shells) -> None:
    """Whatever the age of the token."""
    before = shells.token()
    assert shells.run("refresh") == ("", "", 0)
    assert shells.refreshes() == ["refreshed"]
    assert shells.token() != before
