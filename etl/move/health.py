"""A check over HTTP: ask until the service answers as it should, or the time is over.

Only the standard library: a GET to a local address, no proxy, no cookies, redirects not followed.
"""

from __future__ import annotations

import asyncio
import http.client
import time
from urllib.parse import urlsplit

from etl.threads import in_thread

ASK_S = 2.0
PAUSE_S = 0.1


def ask(url: str, timeout_s: float) -> int | str:
    """The status of the answer, or why there was none."""
    parts = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or parts.hostname is None:
        return f"{url} is no http address"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        status: int = connection.getresponse().status
        return status
    except (OSError, http.client.HTTPException) as error:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    finally:
        connection.close()


async def ask_until(url: str, status: int, timeout_s: float, is_over: asyncio.Event | None = None) -> int | str:
    """Ask again until the status is the one wanted; returns the last answer."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = await in_thread(ask, url, min(ASK_S, max(0.1, deadline - time.monotonic())))
        if answer == status or time.monotonic() >= deadline or (is_over is not None and is_over.is_set()):
            return answer
        await asyncio.sleep(PAUSE_S)
