"""Workloads with a site under an event loop: pages, documents, and a crawl."""

import asyncio
import os

import site_content
from async_frame import gathered
from async_http import Http
from content import Peak, exactly
from site_content import Documents, Frontier, Page, Robots


class Site(Http):
    sessions = 0

    async def prepare(self):
        await super().prepare()
        os.makedirs(self.round.work_dir, exist_ok=True)

    async def report(self, client):
        status, _, body = await client.exchange("GET", "/site-report", headers=site_content.headers("report"))
        return site_content.report(status, body)

    async def body(self, client, path, name):
        status, _, body = await client.exchange("GET", path, headers=site_content.headers(name))
        self.expectation.check_status(f"GET {path}", status)
        return body

    async def open(self):
        """A client, and the number of the session."""
        client = await super().open()
        self.sessions += 1
        return client, self.sessions - 1

    async def close(self, session):
        await session[0].close()


class Scrape(Site):
    """Several pages at once; the title of each, or that it has none."""

    async def prepare(self):
        await super().prepare()
        self.pages = [self.target.path(path) for path in self.params["pages"]]
        self.requests = self.connections = len(self.pages)
        client = self.client(1)
        found = await self.report(client)
        if found:
            self.titles = site_content.expected_titles(found, self.pages)
        else:
            self.titles = [await self.title(client, path, "before") for path in self.pages]
        await client.close()

    async def title(self, client, path, name):
        return Page(await self.body(client, path, name)).title

    async def operate(self, session, op):
        client, number = session
        titles = await gathered(self.title(client, path, f"scrape-{number}") for path in self.pages)
        if self.expectation.compares:
            exactly(self.titles, titles, "as titles")


class Download(Site):
    """Several documents at once, each saved to a file."""

    async def prepare(self):
        await super().prepare()
        paths = [self.target.path(path) for path in self.params["documents"]]
        self.requests = self.connections = self.blocking_calls = len(paths)
        client = self.client(1)
        found = await self.report(client)
        self.documents = Documents(paths, found)
        if not found:
            for number, path in enumerate(paths):
                self.documents.learn(number, await self.body(client, path, "before"))
        await client.close()

    def saved(self, session, number):
        return os.path.join(self.round.work_dir, f"downloaded-{session}-{number}")

    async def save(self, client, session, number):
        body = await self.body(client, self.documents.paths[number], f"download-{session}")
        if self.expectation.compares:
            self.documents.check_length(number, body)
        await self.lane.files.write(self.saved(session, number), body)

    async def operate(self, session, op):
        client, index = session
        await gathered(self.save(client, index, number) for number in range(self.requests))

    async def finish(self, totals):
        files = [(number, self.saved(index, number)) for index in range(self.sessions) for number in range(self.requests)]
        broken = [wrong for file in files for wrong in self.documents.wrong_file(*file)]
        return broken if self.expectation.compares else []


class Crawl(Site):
    """A whole site from its root by its robots.txt, a limited number of requests at once, each page once."""

    blocking_calls = 1

    async def prepare(self):
        await super().prepare()
        self.connections = self.params["limit"]
        self.root = f"http://{self.target.authority}{self.target.path('/')}"
        client = self.client(self.connections)
        self.before = await self.report(client)
        if self.before:
            self.expected = site_content.expected_pages(self.before, self.root)
        else:
            self.expected = dict(await self.crawl(client, "survey", Peak()))
        await client.close()

    async def open(self):
        client, number = await super().open()
        return client, number, os.path.join(self.round.work_dir, f"crawled-{number}.tsv")

    async def close(self, session):
        await session[0].close()
        if os.path.exists(session[2]):
            os.remove(session[2])

    async def get(self, client, address, name, under_way):
        """A response, asked for again after waits that double while the server has an error."""
        wait_s = self.params["backoff"] * self.round.unit_ns / 1e9
        for attempt in range(self.params["tries"]):
            if attempt:
                await asyncio.sleep(wait_s * 2 ** (attempt - 1))
            with under_way:
                answer = await client.exchange("GET", site_content.path_of(address), headers=site_content.headers(name))
            if answer[0] < 500:
                break
        return answer

    async def crawl(self, client, name, under_way, results=None):
        """Address and title of each page, which are written to `results` as well."""
        address = f"http://{self.target.authority}/robots.txt"
        status, fields, body = await self.get(client, address, name, under_way)
        if status in site_content.REDIRECTS and "location" in fields:
            address = site_content.urljoin(address, fields["location"])
            status, fields, body = await self.get(client, address, name, under_way)
        frontier = Frontier(self.root, Robots(status, body))
        pages = []
        writing = asyncio.Lock()
        arrived = asyncio.Condition()
        busy = 0

        async def visit_pages():
            nonlocal busy
            while True:
                async with arrived:
                    await arrived.wait_for(lambda: frontier.waiting or not busy)
                    if not frontier.waiting:
                        return
                    address = frontier.waiting.pop(0)
                    busy += 1
                try:
                    title = frontier.visited(address, *await self.get(client, address, name, under_way))
                    if title is not None:
                        pages.append((address, title))
                        if results:
                            async with writing:
                                await self.lane.files.append(results, site_content.line(address, title))
                finally:
                    async with arrived:
                        busy -= 1
                        arrived.notify_all()

        await gathered(visit_pages() for _ in range(self.connections))
        return pages

    async def operate(self, session, op):
        client, number, results = session
        under_way = Peak()
        await self.lane.files.write(results, b"")
        await self.crawl(client, f"crawl-{os.getpid()}-{number}-{op}", under_way, results)
        self.round.number("requests_at_once", under_way.most)
        under_way.at_most(self.connections, "requests in flight")
        text = (await self.lane.files.read(results)).decode()
        site_content.check_results(self.expected, text)

    def violations(self, totals):
        return []

    async def finish(self, totals):
        if not self.before:
            return []
        client = self.client(1)
        found = await self.report(client)
        await client.close()
        return site_content.wrong_visits(found, self.before, totals)


WORKLOADS = {"scrape": Scrape, "download": Download, "crawl": Crawl}
