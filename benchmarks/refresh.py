# What does one refresh over loopback cost in the blocking driver? Target: at most 1.15 x requests.post.
#
# The peer is requests.post of the same body to the same server, its answer read; it parses nothing and keeps nothing.
# The server is in another process and does not rotate, so that both may present the same refresh token again and again;
# each request of either goes over a connection of its own.

import json
import time

import requests
from _measure import Spread, interleave, ratio, show_machine
from _service import TOKEN_ID, server_process

ROUNDS = 1500


def main() -> None:
    with server_process(rotation=False) as server, server.session() as session:
        pair = session.snapshot()["pair"]
        assert isinstance(pair, dict)
        url = server.url + "/api/permission/refresh"
        body = json.dumps({"permissionRefreshToken": pair["refresh_token"]}).encode()
        headers = {"content-type": "application/json", "accept": "application/json", "request-id": TOKEN_ID}

        def refresh() -> float:
            begin = time.perf_counter()
            session.refresh()
            return (time.perf_counter() - begin) * 1e6

        def post() -> float:
            begin = time.perf_counter()
            answer = requests.post(url, data=body, headers=headers, timeout=10)
            assert answer.status_code == 200
            return (time.perf_counter() - begin) * 1e6

        def exchange_only() -> float:
            """Send by the driver's sender alone, so that one sees what the threads around it cost."""
            request = session._protocol._dialect.refresh(
                server.url, TOKEN_ID, ("read",), pair["refresh_token"], TOKEN_ID
            )
            begin = time.perf_counter()
            answer = session._send(request, 10.0)
            assert answer.status == 200
            return (time.perf_counter() - begin) * 1e6

        figures = interleave(
            {"requests.post": post, "session.refresh": refresh, "its sender alone": exchange_only}, ROUNDS
        )
    show_machine()
    for name, figure in figures.items():
        print(f"{name:24} {Spread(figure).show('us', 0)}")
    for name in ("session.refresh", "its sender alone"):
        print(f"{'ratio, ' + name:24} {ratio(figures[name], figures['requests.post']).show('x', 2)}")


if __name__ == "__main__":
    main()
