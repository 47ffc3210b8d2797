# What the tests of the blocking driver's sender send, and how it fails.

import pytest
from tenure import Request, SendFailure
from tenure.transports._requests import RequestsSender

from ..drivers import TIMEOUT

BODY = b'{"secret": "s3cr3t"}'
NEVER = 15.0  # seconds, of a fault that outlasts every time-out of this file
SOON = 0.6  # seconds; a time-out that is meant to be reached


def post(url: str) -> Request:
    return Request("POST", url, (("content-type", "application/json"), ("request-id", "1")), BODY)


def failure_of(send: RequestsSender, url: str, timeout: float = TIMEOUT) -> SendFailure:
    with pytest.raises(SendFailure) as caught:
        send(post(url), timeout)
    return caught.value
