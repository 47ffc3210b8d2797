# Two machines for tests, as network namespaces of this one: each has a cable to Redis and another to the service, and
# either can be unplugged. Needs root and `ip` (iproute2).

import os
import subprocess
from types import TracebackType

__all__ = ["REDIS", "SERVICE", "Machine"]

REDIS, SERVICE = "redis", "service"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


class Machine:
    """A network namespace with two cables; a context manager that leaves nothing behind.

    Attributes:
        redis_host, service_host: under which this machine reaches what runs on the host.
        prefix: the command that runs a program on this machine.
    """

    def __init__(self, number: int) -> None:
        self.name = f"tenure{os.getpid() % 100_000}m{number}"
        network = 200 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 50  # two workers may be at it
        self.redis_host = f"10.{network}.{2 * number}.1"
        self.service_host = f"10.{network}.{2 * number + 1}.1"
        self.prefix = ("ip", "netns", "exec", self.name)
        self._number = number

    def __enter__(self) -> "Machine":
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        for place, host in ((REDIS, self.redis_host), (SERVICE, self.service_host)):
            here, there = self._cable(place), "to-" + place
            ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", self.name)
            ip("address", "add", f"{host}/24", "dev", here)
            ip("link", "set", here, "up")
            ip("-n", self.name, "address", "add", f"{host[:-1]}2/24", "dev", there)
            ip("-n", self.name, "link", "set", there, "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for place in (REDIS, SERVICE):
            ip("link", "del", self._cable(place))  # now, and not whenever the kernel clears a namespace away
        ip("netns", "del", self.name)

    def _cable(self, place: str) -> str:
        return f"t{os.getpid() % 100_000}{place[0]}{self._number}"  # a name has 15 characters at most

    def unplug(self, place: str) -> None:
        """Cut this machine off from Redis or from the service."""
        ip("link", "set", self._cable(place), "down")

    def plug_in(self, place: str) -> None:
        """Mend it."""
        ip("link", "set", self._cable(place), "up")
