// Workloads with a site: pages, documents, and a crawl.

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Site is what workloads with a site have in common; a session is its number.
type Site struct {
	HTTP
	survey *Client
}

func (site *Site) prepareSite(params any) error {
	if err := site.prepare(params); err != nil {
		return err
	}
	site.survey = newClient(site.target, 1)
	return os.MkdirAll(site.round.WorkDir, 0o777)
}

func (site *Site) Open(index int) (any, error) { return index, nil }

func (site *Site) report() (*Report, error) {
	answer, err := site.survey.ask(context.Background(), http.MethodGet, "/site-report", nil, visitor("report"))
	if err != nil {
		return nil, err
	}
	return readReport(answer), nil
}

func (site *Site) body(client Asker, path, name string) ([]byte, error) {
	answer, err := client.ask(context.Background(), http.MethodGet, path, nil, visitor(name))
	if err != nil {
		return nil, err
	}
	return answer.body, site.checkStatus("GET "+path, answer.status)
}

func (site *Site) paths(of []string) (paths []string) {
	for _, path := range of {
		paths = append(paths, site.target.path(path))
	}
	return paths
}

// Scrape gets several pages at once; the title of each, or that it has none.
type Scrape struct {
	Site
	Pages []string

	pages, titles []string
}

func (scrape *Scrape) Prepare() error {
	if err := scrape.prepareSite(scrape); err != nil {
		return err
	}
	defer scrape.survey.CloseIdleConnections()
	scrape.pages = scrape.paths(scrape.Pages)
	scrape.connect(len(scrape.pages), len(scrape.pages))
	report, err := scrape.report()
	if err != nil {
		return err
	}
	if report != nil {
		scrape.titles = report.expectedTitles(scrape.pages)
		return nil
	}
	scrape.titles, err = scrape.titlesBy(scrape.survey, "before")
	return err
}

func (scrape *Scrape) titlesBy(client Asker, name string) ([]string, error) {
	titles := make([]string, len(scrape.pages))
	err := atOnce(len(titles), func(number int) error {
		body, err := scrape.body(client, scrape.pages[number], name)
		titles[number] = readPage(body).title
		return err
	})
	return titles, err
}

func (scrape *Scrape) Operate(session any, _ uint64) error {
	titles, err := scrape.titlesBy(scrape.client, fmt.Sprintf("scrape-%d", session))
	if err != nil || !scrape.compares() {
		return err
	}
	return exactly(scrape.titles, titles, "as titles")
}

// Download gets several documents at once, each saved to a file.
type Download struct {
	Site
	Documents []string

	documents []Document
}

func (download *Download) Prepare() error {
	if err := download.prepareSite(download); err != nil {
		return err
	}
	defer download.survey.CloseIdleConnections()
	paths := download.paths(download.Documents)
	download.connect(len(paths), len(paths))
	report, err := download.report()
	if err != nil {
		return err
	}
	for _, path := range paths {
		known := Document{Path: path}
		if report == nil {
			body, err := download.body(download.survey, path, "before")
			if err != nil {
				return err
			}
			known = documentOf(path, body)
		} else {
			for _, document := range report.Documents {
				if document.Path == path {
					known = document
				}
			}
		}
		download.documents = append(download.documents, known)
	}
	return nil
}

func (download *Download) saved(session any, number int) string {
	return filepath.Join(download.round.WorkDir, fmt.Sprintf("downloaded-%d-%d", session, number))
}

func (download *Download) Operate(session any, _ uint64) error {
	return atOnce(len(download.documents), func(number int) error {
		document := download.documents[number]
		body, err := download.body(download.client, document.Path, fmt.Sprintf("download-%d", session))
		if err != nil {
			return err
		}
		if download.compares() && len(body) != document.Length {
			return wrongContent("GET %s: expected %d bytes, got %d", document.Path, document.Length, len(body))
		}
		return writeFile(download.saved(session, number), body, false)
	})
}

func (download *Download) Violations(totals *Totals) []string {
	found := download.Site.Violations(totals)
	for session := 0; session < download.round.Load.Concurrency; session++ {
		for number, document := range download.documents {
			wrong := document.wrongFile(download.saved(session, number))
			if download.compares() {
				found = append(found, wrong...)
			}
		}
	}
	return found
}

// Crawl visits a whole site from its root by its robots.txt, a limited number of requests at once, each page once.
type Crawl struct {
	Site
	Limit, Tries int
	Backoff      float64

	root     *url.URL
	before   *Report
	expected []string
}

func (crawl *Crawl) Prepare() error {
	if err := crawl.prepareSite(crawl); err != nil {
		return err
	}
	root, err := url.Parse("http://" + crawl.target.authority + crawl.target.path("/"))
	if err != nil {
		return err
	}
	crawl.root = root
	crawl.connect(0, crawl.Limit)
	if crawl.before, err = crawl.report(); err != nil {
		return err
	}
	crawl.survey.CloseIdleConnections()
	if crawl.before != nil {
		crawl.expected = crawl.before.expectedPages(root)
		return nil
	}
	client := newClient(crawl.target, crawl.Limit)
	defer client.CloseIdleConnections()
	return crawl.crawl(client, "survey", &Peak{}, func(line string) error {
		crawl.expected = append(crawl.expected, line)
		return nil
	})
}

func (crawl *Crawl) results(session any) string {
	return filepath.Join(crawl.round.WorkDir, fmt.Sprintf("crawled-%d.tsv", session))
}

func (crawl *Crawl) Close(session any) {
	crawl.Site.Close(session)
	os.Remove(crawl.results(session))
}

// visit is a response, asked for again after waits that double while the server has an error.
func (crawl *Crawl) visit(client Asker, address *url.URL, name string, underWay *Peak) (*Answer, error) {
	pause := crawl.round.inUnits(crawl.Backoff)
	for attempt := 1; ; attempt++ {
		underWay.add(1)
		answer, err := client.ask(context.Background(), http.MethodGet, address.RequestURI(), nil, visitor(name))
		underWay.add(-1)
		if err != nil || answer.status < 500 || attempt == crawl.Tries {
			return answer, err
		}
		time.Sleep(pause)
		pause *= 2
	}
}

func (crawl *Crawl) robots(client Asker, name string, underWay *Peak) (Robots, error) {
	address := resolved("/robots.txt", crawl.root)
	answer, err := crawl.visit(client, address, name, underWay)
	if err != nil {
		return nil, err
	}
	if moved := resolved(answer.fields.Get("Location"), address); isRedirect(answer.status) && moved != nil {
		if answer, err = crawl.visit(client, moved, name, underWay); err != nil {
			return nil, err
		}
	}
	return readRobots(answer), nil
}

// crawl gives a line for each page to found, one after another.
func (crawl *Crawl) crawl(client Asker, name string, underWay *Peak, found func(line string) error) error {
	robots, err := crawl.robots(client, name, underWay)
	if err != nil {
		return err
	}
	frontier, err := newFrontier(crawl.root, robots)
	if err != nil {
		return err
	}
	// Guards the frontier, the number of visits under way, and the results.
	var lock sync.Mutex
	arrived, busy := sync.NewCond(&lock), 0
	return atOnce(crawl.Limit, func(int) error {
		lock.Lock()
		defer lock.Unlock()
		for {
			for len(frontier.waiting) == 0 && busy > 0 {
				arrived.Wait()
			}
			if len(frontier.waiting) == 0 {
				return nil
			}
			address := frontier.waiting[0]
			frontier.waiting = frontier.waiting[1:]
			busy++
			lock.Unlock()
			answer, err := crawl.visit(client, address, name, underWay)
			lock.Lock()
			busy--
			if err == nil {
				var title string
				var isPage bool
				if title, isPage, err = frontier.visited(address, answer); err == nil && isPage {
					err = found(line(address.String(), title))
				}
			}
			arrived.Broadcast()
			if err != nil {
				return err
			}
		}
	})
}

func (crawl *Crawl) Operate(session any, op uint64) error {
	file, err := os.Create(crawl.results(session))
	if err != nil {
		return err
	}
	defer file.Close()
	var underWay Peak
	name := fmt.Sprintf("crawl-%d-%d-%d", os.Getpid(), session, op)
	err = crawl.crawl(crawl.client, name, &underWay, func(line string) error {
		_, err := file.WriteString(line)
		return err
	})
	if err != nil {
		return err
	}
	crawl.round.number("requests_at_once", float64(underWay.most))
	if err := underWay.atMost(crawl.Limit, "requests in flight"); err != nil {
		return err
	}
	text, err := os.ReadFile(crawl.results(session))
	if err != nil {
		return err
	}
	return checkResults(crawl.expected, text)
}

func (crawl *Crawl) Violations(totals *Totals) []string {
	if crawl.before == nil {
		return nil
	}
	report, err := crawl.report()
	crawl.survey.CloseIdleConnections()
	if err != nil || report == nil {
		return []string{fmt.Sprintf("the site had a report before the round, and none after it: %v", err)}
	}
	return report.wrongVisits(crawl.before, totals)
}

func site(round *Round) Site { return Site{HTTP: common(round)} }

var siteWorkloads = starters{
	"scrape":   func(round *Round) Workload { return &Scrape{Site: site(round)} },
	"download": func(round *Round) Workload { return &Download{Site: site(round)} },
	"crawl":    func(round *Round) Workload { return &Crawl{Site: site(round)} },
}
