"""Workloads with a site in blocking code: pages, documents, and a crawl."""

import os
import threading
import time

import site_content
from blocking_files import read_file
from blocking_http import Http
from content import Peak, exactly
from site_content import Documents, Frontier, Page, Robots


class Site(Http):
    sessions = 0

    def prepare(self):
        super().prepare()
        os.makedirs(self.round.work_dir, exist_ok=True)

    def report(self, client):
        status, _, body = client.exchange("GET", "/site-report", headers=site_content.headers("report"))
        return site_content.report(status, body)

    def body(self, client, path, name):
        status, _, body = client.exchange("GET", path, headers=site_content.headers(name))
        self.expectation.check_status(f"GET {path}", status)
        return body

    def open(self):
        """A client, the way to run as many calls at once as it has connections, and the number of the session."""
        client, run = super().open()
        self.sessions += 1
        return client, run, self.sessions - 1

    def close(self, session):
        super().close(session[:2])


class Scrape(Site):
    """Several pages at once; the title of each, or that it has none."""

    def prepare(self):
        super().prepare()
        self.pages = [self.target.path(path) for path in self.params["pages"]]
        self.requests = self.connections = len(self.pages)
        client = self.client(1)
        found = self.report(client)
        if found:
            self.titles = site_content.expected_titles(found, self.pages)
        else:
            self.titles = [self.title(client, path, "before") for path in self.pages]
        client.close()

    def title(self, client, path, name):
        return Page(self.body(client, path, name)).title

    def operate(self, session, op):
        client, run, number = session
        titles = run([(self.title, client, path, f"scrape-{number}") for path in self.pages])
        if self.expectation.compares:
            exactly(self.titles, titles, "as titles")


class Download(Site):
    """Several documents at once, each saved to a file."""

    def prepare(self):
        super().prepare()
        paths = [self.target.path(path) for path in self.params["documents"]]
        self.requests = self.connections = len(paths)
        client = self.client(1)
        found = self.report(client)
        self.documents = Documents(paths, found)
        if not found:
            for number, path in enumerate(paths):
                self.documents.learn(number, self.body(client, path, "before"))
        client.close()

    def saved(self, session, number):
        return os.path.join(self.round.work_dir, f"downloaded-{session}-{number}")

    def save(self, client, session, number):
        body = self.body(client, self.documents.paths[number], f"download-{session}")
        if self.expectation.compares:
            self.documents.check_length(number, body)
        with open(self.saved(session, number), "wb") as file:
            file.write(body)

    def operate(self, session, op):
        client, run, index = session
        run([(self.save, client, index, number) for number in range(self.requests)])

    def finish(self, totals):
        files = [(number, self.saved(index, number)) for index in range(self.sessions) for number in range(self.requests)]
        broken = [wrong for file in files for wrong in self.documents.wrong_file(*file)]
        return broken if self.expectation.compares else []


class Crawl(Site):
    """A whole site from its root by its robots.txt, a limited number of requests at once, each page once."""

    def prepare(self):
        super().prepare()
        self.connections = self.params["limit"]
        self.root = f"http://{self.target.authority}{self.target.path('/')}"
        client = self.client(self.connections)
        self.before = self.report(client)
        if self.before:
            self.expected = site_content.expected_pages(self.before, self.root)
        else:
            run = self.lane.AtOnce(self.connections)
            self.expected = dict(self.crawl(client, run, "survey", Peak()))
            run.close()
        client.close()

    def open(self):
        client, run, number = super().open()
        return client, run, number, os.path.join(self.round.work_dir, f"crawled-{number}.tsv")

    def close(self, session):
        super().close(session)
        if os.path.exists(session[3]):
            os.remove(session[3])

    def get(self, client, address, name, under_way):
        """A response, asked for again after waits that double while the server has an error."""
        wait_s = self.params["backoff"] * self.round.unit_ns / 1e9
        for attempt in range(self.params["tries"]):
            if attempt:
                time.sleep(wait_s * 2 ** (attempt - 1))
            with under_way:
                answer = client.exchange("GET", site_content.path_of(address), headers=site_content.headers(name))
            if answer[0] < 500:
                break
        return answer

    def crawl(self, client, run, name, under_way, results=None):
        """Address and title of each page, which are written to `results` as well."""
        address = f"http://{self.target.authority}/robots.txt"
        status, fields, body = self.get(client, address, name, under_way)
        if status in site_content.REDIRECTS and "location" in fields:
            address = site_content.urljoin(address, fields["location"])
            status, fields, body = self.get(client, address, name, under_way)
        frontier = Frontier(self.root, Robots(status, body))
        pages = []
        # Guards the frontier and the results.
        lock = threading.Lock()

        def visit_pages():
            while True:
                with lock:
                    if not frontier.waiting:
                        return
                    address = frontier.waiting.pop(0)
                answer = self.get(client, address, name, under_way)
                with lock:
                    title = frontier.visited(address, *answer)
                    if title is not None:
                        pages.append((address, title))
                        if results:
                            with open(results, "a") as file:
                                file.write(site_content.line(address, title))

        # A thread that finds nothing ends; the links of the pages under way are for the next turn.
        while frontier.waiting:
            run([(visit_pages,)] * min(self.connections, len(frontier.waiting)))
        return pages

    def operate(self, session, op):
        client, run, number, results = session
        under_way = Peak()
        open(results, "w").close()
        self.crawl(client, run, f"crawl-{os.getpid()}-{number}-{op}", under_way, results)
        self.round.number("requests_at_once", under_way.most)
        under_way.at_most(self.connections, "requests in flight")
        site_content.check_results(self.expected, read_file(results).decode())

    def violations(self, totals):
        return []

    def finish(self, totals):
        if not self.before:
            return []
        client = self.client(1)
        found = self.report(client)
        client.close()
        return site_content.wrong_visits(found, self.before, totals)


WORKLOADS = {"scrape": Scrape, "download": Download, "crawl": Crawl}
