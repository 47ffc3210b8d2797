import json
import re
import shlex
import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tenure.transports.cli.serve import Known
from tenure.transports.cli.serve_running import banner, describe_entry, json_line
from tenure.transports.emulator import Emulator, JournalEntry

from .helpers import TIMEOUT, Tenure, kept_back, post, refreshed, run_tenure

README = Path(__file__).parents[3] / "README.md"
pytestmark = pytest.mark.once

PASSWORD = "correct horse"
CREDENTIALS_PATH = "/api/security-factor/credentials"
ISSUE_PATH = "/api/permission/issue-by-factors"
TOKEN_ID = "11111111-1111-4111-8111-111111111111"
REQUEST_ID = "99999999-9999-4999-8999-999999999999"


def test_serve_for_a_script() -> None:
    """With --json the first line says all; requests are logged to stderr, without a secret; SIGTERM is exit 0."""
    with Tenure("serve", "--json") as tenure:
        facts = json.loads(tenure.stdout.readline())
        credentials = {name: facts[name] for name in ("username", "password")}
        status, answer = post(facts["url"] + CREDENTIALS_PATH, credentials, REQUEST_ID)
        assert (status, answer["requestId"]) == (200, REQUEST_ID)
        proof = answer["data"]["securityToken"]
        issue = {"tokenId": TOKEN_ID, "permissions": ["read"], "securityTokens": [proof]}
        status, answer = post(facts["url"] + ISSUE_PATH, issue)
        token = answer["data"]["permissionToken"]["permissionToken"]
        request = urllib.request.Request(facts["resource_url"], headers={"authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=TIMEOUT) as served:
            assert served.status == 200
        wrong, _ = post(facts["url"] + CREDENTIALS_PATH, {"username": "demo", "password": facts["merchant_key"]})
        assert wrong == 401
        lines = [tenure.stderr.readline() for _ in range(4)]
        out, err, code = tenure.finish(signal.SIGTERM)
    assert (out, err, code) == ("", "", 0)
    words = [line.split()[1:4] for line in lines]
    assert words[0] == ["credentials", "200", "verified"]
    assert words[1] == ["issue", "200", "issued"]
    assert words[2] == ["resource", "200", "served"]
    assert words[3] == ["credentials", "401", "refused"]
    assert REQUEST_ID in lines[0]
    for secret in (facts["password"], facts["merchant_key"], "eyJ"):
        assert secret not in "".join(lines)


def test_serve_for_a_person() -> None:
    """The url, the resource and the account are printed, and the log follows as it happens, on stdout."""
    options = ("--account", "ann", "--fault", "lose_answer@2", "--grace", "30", "--clock-offset", "-7200")
    with Tenure("serve", *options, TENURE_SERVE_PASSWORD=PASSWORD) as tenure:
        printed = [tenure.stdout.readline()]
        while not printed[-1].startswith("  curl "):
            printed.append(tenure.stdout.readline())
        assert tenure.stdout.readline() == "\n"
        text = "".join(printed)
        url = next(line.split()[1] for line in printed if line.startswith("  url "))
        assert f"{url}/api/resource" in text
        assert "ann" in text
        assert "grace         30 s; clock -7200 s" in text
        assert post(url + CREDENTIALS_PATH, {"username": "ann", "password": PASSWORD})[0] == 200
        assert tenure.stdout.readline().split()[1:4] == ["credentials", "200", "verified"]
        out, err, code = tenure.finish(signal.SIGINT)
    assert (err, code) == ("", 0)
    assert PASSWORD not in text + out


def test_what_serve_says_to_type_next_works(tmp_path: Path) -> None:
    """README, From a shell: a newcomer who types the printed lines has used the resource."""
    with Tenure("serve") as tenure:
        printed = ""
        while "  curl " not in printed:
            printed += tenure.stdout.readline()
        login, curl = (shlex.split(line) for line in printed.splitlines() if line.startswith(("  tenure ", "  curl ")))
        password = re.findall(r"^  password +(\w+)", printed, re.MULTILINE)[0]
        places = {"TENURE_CONFIG_DIR": str(tmp_path), "TENURE_STATE_DIR": str(tmp_path)}
        assert run_tenure(*login[1:], TENURE_PASSWORD=password, **places)[2] == 0
        assert curl[:3] == ["curl", "-H", "Authorization: Bearer $(tenure token)"]
        token = run_tenure("token", **places)[0].strip()
        request = urllib.request.Request(curl[3], headers={"authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=TIMEOUT) as served:
            assert served.status == 200


@pytest.mark.parametrize(
    "line", [line for line in README.read_text().splitlines() if re.match(" {4}(tenure|curl) ", line)]
)
def test_what_the_readme_says_to_type_is_what_serve_says(line: str) -> None:
    """README, From a shell: the same lines, for a port that it chooses."""
    with Emulator(port=0) as emulator:
        lines = banner(emulator, Known({"demo": PASSWORD}, True, "k", True)).splitlines()
        assert line.strip() in [each.strip().replace(emulator.origin, "http://127.0.0.1:8765") for each in lines] + [
            "tenure serve --port 8765"
        ]


def test_serve_is_quiet_when_asked_to_be() -> None:
    """--quiet: no line for a request."""
    with Tenure("serve", "--json", "--quiet") as tenure:
        url = json.loads(tenure.stdout.readline())["url"]
        assert post(url + CREDENTIALS_PATH, {})[0] == 400
        assert tenure.finish(signal.SIGTERM) == ("", "", 0)


def test_serve_ends_although_nobody_reads_its_log() -> None:
    """A script that reads the first line only must not keep the service, or its end, from happening."""
    with Tenure("serve", "--json") as tenure:
        url = json.loads(tenure.stdout.readline())["url"]
        address = url.split("/")[2].split(":")
        for _ in range(900):  # more than a pipe holds, in lines of more than 80 characters
            with socket.create_connection((address[0], int(address[1])), timeout=TIMEOUT) as connection:
                head = f"GET /authorization/v1/nowhere HTTP/1.1\r\nhost: x\r\nrequest-id: {REQUEST_ID}\r\n\r\n"
                connection.sendall(head.encode())
                assert connection.recv(12) == b"HTTP/1.1 404"
        tenure.process.send_signal(signal.SIGTERM)
        assert tenure.process.wait(TIMEOUT) == 0


def test_serve_says_that_the_port_is_taken() -> None:
    """Exit code 1 and one line, not a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Tenure("serve", "--port", str(port)) as tenure:
            out, err, code = tenure.finish()
    assert (out, code) == ("", 1)
    assert err.startswith(f"tenure serve: cannot listen on 127.0.0.1 port {port}: ")
    assert err.count("\n") == 1


def test_serve_ends_when_its_reader_has_gone() -> None:
    """A service whose parent has died does not stay behind; nor does it complain."""
    with Tenure("serve") as tenure:
        while not (line := tenure.stdout.readline()).startswith("  url "):
            pass
        tenure.stdout.close()
        host, port = line.split("/")[2].split(":")
        with socket.create_connection((host, int(port)), timeout=TIMEOUT) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")  # to be logged, which cannot be done
        assert tenure.stderr.read() == ""
        assert tenure.process.wait(TIMEOUT) == 1


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(accounts={"ann": PASSWORD}, merchant_keys=["the key"]) as running:
        yield running


def test_secrets_that_were_given_are_not_printed(emulator: Emulator) -> None:
    """Invariant 9: only what nobody else knows is shown, once."""
    given = Known({"ann": PASSWORD}, False, "the key", False)
    for text in (banner(emulator, given), json_line(emulator, given)):
        assert "ann" in text
        assert PASSWORD not in text
        assert "the key" not in text
    assert json.loads(json_line(emulator, given))["password"] is None


def test_secrets_that_were_made_are_printed_once(emulator: Emulator) -> None:
    """Whoever starts it without a secret must be able to use it."""
    made = Known({"ann": PASSWORD}, True, "the key", True)
    for text in (banner(emulator, made), json_line(emulator, made)):
        assert text.count(PASSWORD) == text.count("the key") == 1


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (refreshed(3), ["refresh", "200", "refreshed", "r3", "generation", "3"]),
        (refreshed(3, fault="lose_answer"), ["refresh", "200", "refreshed", "r3", "generation", "3", "(lose_answer)"]),
        (kept_back(3, status=0), ["refresh", "---", "not", "acted", "r3", "(status)"]),
        (JournalEntry("credentials", None, 400, "malformed", 0.0), ["credentials", "400", "malformed"]),
        (JournalEntry("resource", None, 200, "served", 0.0, "f", "family", 7), ["resource", "200", "served"]),
    ],
)
def test_a_line_of_the_log(entry: JournalEntry, words: list[str]) -> None:
    """Kind, status, outcome and request id, in this order, behind the time of day."""
    line = describe_entry(entry).split()
    assert line[1 : 1 + len(words)] == words
    assert line[0].count(":") == 2
