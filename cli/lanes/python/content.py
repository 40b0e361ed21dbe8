"""The contents of the workloads, the same in every Python lane: what is sent, what is expected, and how it is compared.

A lane decides how work is done and waits; nothing here waits.
"""

import json
import os
import struct
import zlib

import frame
from frame import GOLDEN, MASK, Failure, wrong_content

UNITS = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "GB": 10**9, "MB": 10**6, "KB": 10**3, "kB": 10**3, "B": 1}

# Event loops compute with seconds in floating point.
TIMER_TOLERANCE_NS = 1_000


def size_in_bytes(text):
    """A size as parameters have it: `64KiB`."""
    for unit, unit_bytes in UNITS.items():
        if str(text).endswith(unit):
            return int(text[: -len(unit)]) * unit_bytes
    return int(text)


def known_file(directory, size):
    """The path and CRC-32 of a file with known content: word i is (i + 1) × 0x9E3779B97F4A7C15, little endian."""
    words = size // 8 + 1
    content = b"".join(struct.pack("<Q", (index + 1) * GOLDEN & MASK) for index in range(words))[:size]
    path = os.path.join(directory, f"known-{size}.bin")
    if not os.path.exists(path) or os.path.getsize(path) != size:
        os.makedirs(directory, exist_ok=True)
        unfinished = os.path.join(directory, f"known-{size}.{os.getpid()}.tmp")
        with open(unfinished, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(unfinished, path)
    return path, zlib.crc32(content)


def check_contents(contents, size, checksum):
    if len(contents) != size:
        raise wrong_content(f"expected {size} bytes, got {len(contents)}")
    if zlib.crc32(contents) != checksum:
        raise wrong_content("the checksum is wrong")


def check_waits(waits_ns, lasted_ns):
    for wait_ns, lasted in zip(waits_ns, lasted_ns):
        if lasted + TIMER_TOLERANCE_NS < wait_ns:
            raise wrong_content(f"expected a wait to take at least {wait_ns} ns, took {lasted}")


def check_due(due):
    """The time since `due`, in ns."""
    late = frame.clock() - due
    if late < -TIMER_TOLERANCE_NS:
        raise wrong_content(f"a wait ended {-late} ns before it was due")
    return max(late, 0)


def document(place, body):
    """A document of `http-json`, decoded: the user first, then posts."""
    try:
        decoded = json.loads(body)
        if place == 0:
            return {"id": decoded["id"], "name": decoded["name"], "email": decoded["email"]}
        return {"user": decoded["userId"], "title": decoded["title"]}
    except (ValueError, KeyError, TypeError) as error:
        raise wrong_content(f"the document cannot be decoded: {error!r}") from error


def check_authors(documents):
    user, *posts = documents
    for post in posts:
        if post["user"] != user["id"]:
            raise wrong_content(f"expected posts of the requested user, got one of user {post['user']}")


def numbered(path, op):
    """The path of operation `op`, for a server that draws by its number."""
    return path + ("&" if "?" in path else "?") + f"op={op}"


def filling(size):
    """The text that fills a posted document."""
    return ("abcdefghijklmnopqrstuvwxyz" * (size // 26 + 1))[:size]


def check_echo(sent, body):
    if json.loads(body) != sent:
        raise wrong_content(f"expected the document of operation {sent['operation']}, got another")


def waits_ns(round_):
    """The waits of `tasks`."""
    return [round(wait * round_.unit_ns) for wait in round_.params["waits"]]


def wait_ns(round_, op):
    """The wait of operation `op` of `timers`."""
    shortest, longest = (round_.params[name] * 1000 for name in ("shortest_us", "longest_us"))
    return shortest + frame.draw_below(round_.seed, op, longest - shortest + 1)


class Expectation:
    """The expected status and content of a response."""

    def __init__(self, params):
        statuses = params.get("status", "2xx")
        statuses = statuses if isinstance(statuses, list) else [statuses]
        self.statuses = [str(status) for status in statuses]
        self.compares = params.get("content", "same") == "same"

    def check_status(self, request, status):
        text = str(status)
        if not any(text == known or text[0] + "xx" == known for known in self.statuses):
            raise Failure("status", f"{request} answered {status}")

    def check(self, request, status, body, expected):
        self.check_status(request, status)
        if self.compares and body != expected:
            raise wrong_content(f"{request}: expected {len(expected)} bytes as before, got {len(body)} that differ")


class Documents:
    """The documents of `http-json`: a user first, then posts, as they were served before the measurement."""

    def __init__(self, paths, bodies, expectation):
        self.places = {path: place for place, path in enumerate(paths)}
        self.expectation = expectation
        self.served = [document(place, body) for place, body in enumerate(bodies)]
        check_authors(self.served)

    def check(self, path, status, body):
        self.expectation.check_status("GET " + path, status)
        place = self.places[path]
        answered = document(place, body)
        if self.expectation.compares and answered != self.served[place]:
            raise wrong_content(f"GET {path}: expected {self.served[place]}, got {answered}")
