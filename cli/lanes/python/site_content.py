"""The site of `scrape`, `download` and `crawl`, the same in every Python lane: its report, its pages, its rules, and the checks.

A site that reports its pages is ours; any other one is visited before the measurement, and is expected to be the same from then on.
"""

import hashlib
import json
import os
import re
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

from content import exactly
from frame import Failure, wrong_content

AGENT = "photofinish"
NO_TITLE = "no title"
MOST_ADDRESSES = 10_000
REDIRECTS = (301, 302, 303, 307, 308)


def headers(name):
    """The header of a visitor: the site tells visitors apart by their names."""
    return {"User-Agent": AGENT, "X-Client": name}


def report(status, body):
    """The site's report, or None if it has none."""
    if status != 200:
        return None
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "pages" in found else None


class Page(HTMLParser):
    """The title and the links of a page. Pictures have titles of their own."""

    def __init__(self, body):
        super().__init__()
        self.title = None
        self.links = []
        self.base = None
        self.pictures = 0
        self.is_in_title = False
        self.feed(body.decode("utf-8", "replace"))
        self.close()
        self.title = NO_TITLE if self.title is None else " ".join(self.title.split())

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag == "svg":
            self.pictures += 1
        elif tag == "title" and not self.pictures and self.title is None:
            self.title = ""
            self.is_in_title = True
        elif tag in ("a", "area") and found.get("href") is not None:
            self.links.append(found["href"])
        elif tag == "base" and self.base is None:
            self.base = found.get("href")

    def handle_endtag(self, tag):
        if tag == "svg":
            self.pictures = max(self.pictures - 1, 0)
        elif tag == "title":
            self.is_in_title = False

    def handle_data(self, text):
        if self.is_in_title:
            self.title += text

    def links_from(self, address):
        base = urljoin(address, self.base or "")
        return [urljoin(base, link) for link in self.links]


class Robots:
    """The rules for this visitor in a robots.txt: the longest one that fits decides (RFC 9309)."""

    def __init__(self, status, body):
        self.rules = []
        if 200 <= status < 300:
            self.read(body.decode("utf-8", "replace"))
        elif not 400 <= status < 500:
            self.rules = [("", False)]

    def read(self, text):
        groups = {}
        agents, in_rules = [], False
        for line in text.splitlines():
            name, _, value = (part.strip() for part in line.split("#")[0].partition(":"))
            if name.lower() == "user-agent":
                if in_rules:
                    agents, in_rules = [], False
                agents.append(value.lower())
                groups.setdefault(value.lower(), [])
            elif name.lower() in ("allow", "disallow"):
                in_rules = True
                for agent in agents:
                    if value:
                        groups[agent].append((value, name.lower() == "allow"))
        self.rules = groups.get(AGENT, groups.get("*", []))

    def allow(self, path):
        fitting = [(len(rule), is_allowed) for rule, is_allowed in self.rules if self.fits(rule, path)]
        return max(fitting, default=(0, True))[1]

    @staticmethod
    def fits(rule, path):
        pattern = ".*".join(map(re.escape, rule.removesuffix("$").split("*")))
        return re.match(pattern + ("$" if rule.endswith("$") else ""), path) is not None


def path_of(address):
    url = urlsplit(address)
    return (url.path or "/") + (f"?{url.query}" if url.query else "")


class Frontier:
    """The addresses of a crawl: those seen, and those that wait for their visit."""

    def __init__(self, root, robots):
        self.origin = urlsplit(root)[:2]
        self.robots = robots
        self.seen = set()
        self.waiting = []
        self.offer(root)

    def offer(self, address):
        """Adds an address to those that wait, if it is new and may be visited: it is given back then."""
        address = urldefrag(address).url
        if urlsplit(address)[:2] != self.origin or address in self.seen:
            return False
        if len(self.seen) >= MOST_ADDRESSES:
            raise Failure("io", f"the site has more than {MOST_ADDRESSES} addresses, too many for a crawl")
        self.seen.add(address)
        if not self.robots.allow(path_of(address)):
            return False
        self.waiting.append(address)
        return True

    def visited(self, address, status, fields, body):
        """What a response says about an address: its title if it is a page. Its links and redirects are offered."""
        if status == 200 and fields.get("content-type", "").lower().startswith("text/html"):
            page = Page(body)
            for link in page.links_from(address):
                self.offer(link)
            return page.title
        if status in REDIRECTS:
            self.offer(urljoin(address, fields.get("location", address)))
        elif status >= 500:
            raise Failure("status", f"GET {path_of(address)} answered {status} to the last of several tries")
        return None


def expected_pages(found, root):
    """The title of each page that a crawl must find, by address."""
    pages = (page for page in found["pages"] if page["allowed"])
    return {urljoin(root, page["path"]): NO_TITLE if page["title"] is None else page["title"] for page in pages}


def expected_titles(found, paths):
    titles = {page["path"]: NO_TITLE if page["title"] is None else page["title"] for page in found["pages"]}
    return [titles[path] for path in paths]


def line(address, title):
    return f"{address}\t{title}\n"


def check_results(expected, text):
    """Each expected page once, with its title."""
    exactly(sorted(expected.items()), sorted(tuple(row.split("\t")) for row in text.splitlines()), "as pages")


def wrong_visits(found, before, totals):
    """Violations in the requests that the site has received since `before`."""
    seen = {path: count - before["requests"].get(path, 0) for path, count in found["requests"].items()}
    disallowed = found["disallowed_requests"] - before["disallowed_requests"]
    broken = [f"{disallowed} requests of pages that robots.txt disallows"] if disallowed else []
    if totals.failed:
        return broken
    crawls = totals.succeeded
    times = {"/robots.txt": 1}
    times.update({page["path"]: 2 if page["fails_once"] else 1 for page in found["pages"] if page["allowed"]})
    times.update({path: 1 for path in found["redirects"]})
    times.update({document["path"]: 1 for document in found["documents"]})
    for path, each in times.items():
        got = seen.pop(path, 0)
        if got != each * crawls:
            broken.append(f"expected {each * crawls} requests of {path} in {crawls} crawls, got {got}")
    # The others are broken links, none of which is tried twice.
    broken += [
        f"expected at most {crawls} requests of {path} in {crawls} crawls, got {count}"
        for path, count in seen.items()
        if count > crawls
    ]
    return broken


class Documents:
    """The documents of `download`: length and digest of each, and the files that they are saved to."""

    def __init__(self, paths, found):
        known = {document["path"]: document for document in found["documents"]} if found else {}
        self.paths = paths
        self.known = [known.get(path) for path in paths]

    def learn(self, number, body):
        self.known[number] = {"length_bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}

    def check_length(self, number, body):
        expected = self.known[number]["length_bytes"]
        if len(body) != expected:
            raise wrong_content(f"GET {self.paths[number]}: expected {expected} bytes, got {len(body)}")

    def wrong_file(self, number, saved):
        """Violations in a saved document, whose file is removed."""
        if not os.path.exists(saved):
            return []
        with open(saved, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        os.remove(saved)
        return [] if digest == self.known[number]["sha256"] else [f"{saved} is not {self.paths[number]} as it was served"]
