// The site of `scrape`, `download` and `crawl`: its report, its pages, its rules, and the checks.
//
// A site that reports its pages is ours; any other one is visited before the measurement, and is expected to be the same from
// then on. The standard library has no parser of HTML: this one reads tags, comments and scripts, enough for titles and links.

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"sort"
	"strings"
)

const (
	agent         = "photofinish"
	noTitle       = "no title"
	mostAddresses = 10_000
)

// visitor is the header of a visitor: the site tells visitors apart by their names.
func visitor(name string) http.Header {
	return http.Header{"User-Agent": {agent}, "X-Client": {name}}
}

// Report is what our site says about itself.
type Report struct {
	Pages []struct {
		Path      string
		Title     *string
		Allowed   bool
		FailsOnce bool `json:"fails_once"`
	}
	Redirects          []string
	Documents          []Document
	Requests           map[string]int64
	DisallowedRequests int64 `json:"disallowed_requests"`
}

type Document struct {
	Path   string
	Length int `json:"length_bytes"`
	Sha256 string
}

// readReport is the site's report, or nil if it has none.
func readReport(answer *Answer) *Report {
	var report Report
	if answer.status != http.StatusOK || json.Unmarshal(answer.body, &report) != nil || report.Pages == nil {
		return nil
	}
	return &report
}

var (
	token     = regexp.MustCompile(`(?is)<!--.*?(?:-->|\z)|<(/?)([a-z][^\s/>]*)((?:"[^"]*"|'[^']*'|[^>"'])*)>`)
	attribute = regexp.MustCompile(`(?s)([^\s=/"'>]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?`)
	endTags   = map[string]*regexp.Regexp{}
)

func init() {
	for _, name := range []string{"script", "style", "textarea", "title"} {
		endTags[name] = regexp.MustCompile(`(?i)</` + name + `[\s/>]`)
	}
}

// Page has the title and the links of a page.
type Page struct {
	title string
	base  string
	links []string
}

func readPage(body []byte) Page {
	page := Page{title: noTitle}
	// Pictures have titles of their own.
	pictures := 0
	text := strings.ToValidUTF8(string(body), "\uFFFD")
	for {
		found := token.FindStringSubmatchIndex(text)
		if found == nil {
			return page
		}
		part := func(group int) string {
			if found[2*group] < 0 {
				return ""
			}
			return text[found[2*group]:found[2*group+1]]
		}
		isEnd, name, attributes := part(1) != "", strings.ToLower(part(2)), part(3)
		text = text[found[1]:]
		if name == "svg" && isEnd && pictures > 0 {
			pictures--
		} else if name == "svg" && !isEnd {
			pictures++
		}
		if isEnd {
			continue
		}
		page.take(name, attributes)
		if endTag := endTags[name]; endTag != nil {
			// Up to its end this is text, whatever it looks like.
			inner := text
			if end := endTag.FindStringIndex(text); end != nil {
				inner = text[:end[0]]
			}
			text = text[len(inner):]
			if name == "title" && pictures == 0 && page.title == noTitle {
				page.title = strings.Join(strings.FieldsFunc(html.UnescapeString(inner), isSpace), " ")
			}
		}
	}
}

func isSpace(letter rune) bool { return strings.ContainsRune(" \t\n\f\r", letter) }

// take keeps the link of a tag.
func (page *Page) take(name, attributes string) {
	if name != "a" && name != "area" && name != "base" {
		return
	}
	for _, found := range attribute.FindAllStringSubmatch(attributes, -1) {
		if !strings.EqualFold(found[1], "href") {
			continue
		}
		link := html.UnescapeString(found[2] + found[3] + found[4])
		if name != "base" {
			page.links = append(page.links, link)
		} else if page.base == "" {
			page.base = link
		}
		return
	}
}

// resolved is an address that a page refers to; nil if it is none.
func resolved(link string, base *url.URL) *url.URL {
	address, err := base.Parse(link)
	if err != nil {
		return nil
	}
	address.Fragment, address.RawFragment = "", ""
	if address.Path == "" {
		address.Path = "/"
	}
	return address
}

// Robots are the rules for this visitor in a robots.txt: the longest one that fits decides (RFC 9309).
type Robots []rule

type rule struct {
	text      string
	isAllowed bool
	pattern   *regexp.Regexp
}

func newRule(text string, isAllowed bool) rule {
	end := ""
	if strings.HasSuffix(text, "$") {
		end = "$"
	}
	parts := strings.Split(strings.TrimSuffix(text, "$"), "*")
	for place, part := range parts {
		parts[place] = regexp.QuoteMeta(part)
	}
	return rule{text, isAllowed, regexp.MustCompile("^" + strings.Join(parts, ".*") + end)}
}

func readRobots(answer *Answer) Robots {
	if answer.status >= 400 && answer.status < 500 {
		return nil
	}
	if answer.status < 200 || answer.status >= 300 {
		return Robots{newRule("", false)}
	}
	groups := map[string]Robots{}
	var agents []string
	inRules := false
	text := strings.ReplaceAll(strings.TrimPrefix(string(answer.body), "\uFEFF"), "\r", "\n")
	for _, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		name, value, _ := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		switch name {
		case "user-agent":
			if inRules {
				agents, inRules = nil, false
			}
			agents = append(agents, strings.ToLower(value))
			groups[strings.ToLower(value)] = append(groups[strings.ToLower(value)], Robots{}...)
		case "allow", "disallow":
			inRules = true
			for _, agent := range agents {
				if value != "" {
					groups[agent] = append(groups[agent], newRule(value, name == "allow"))
				}
			}
		}
	}
	if own, isThere := groups[agent]; isThere {
		return own
	}
	return groups["*"]
}

func (robots Robots) allow(path string) bool {
	length, isAllowed := -1, true
	for _, rule := range robots {
		if !rule.pattern.MatchString(path) {
			continue
		}
		if len(rule.text) > length || len(rule.text) == length && rule.isAllowed {
			length, isAllowed = len(rule.text), rule.isAllowed
		}
	}
	return isAllowed
}

// Frontier has the addresses of a crawl: those seen, and those that wait for their visit.
type Frontier struct {
	root    *url.URL
	robots  Robots
	seen    map[string]bool
	waiting []*url.URL
}

func newFrontier(root *url.URL, robots Robots) (*Frontier, error) {
	frontier := &Frontier{root: root, robots: robots, seen: map[string]bool{}}
	return frontier, frontier.offer(root)
}

// offer adds an address to those that wait, if it is new and may be visited.
func (frontier *Frontier) offer(address *url.URL) error {
	if address == nil || address.Scheme != frontier.root.Scheme || address.Host != frontier.root.Host {
		return nil
	}
	if frontier.seen[address.String()] {
		return nil
	}
	if len(frontier.seen) >= mostAddresses {
		return &Failure{"io", fmt.Sprintf("the site has more than %d addresses, too many for a crawl", mostAddresses)}
	}
	frontier.seen[address.String()] = true
	if frontier.robots.allow(address.RequestURI()) {
		frontier.waiting = append(frontier.waiting, address)
	}
	return nil
}

func isRedirect(status int) bool {
	switch status {
	case 301, 302, 303, 307, 308:
		return true
	}
	return false
}

// visited is what a response says about an address: its title if it is a page. Its links and redirects are offered.
func (frontier *Frontier) visited(address *url.URL, answer *Answer) (title string, isPage bool, err error) {
	isHTML := strings.HasPrefix(strings.ToLower(answer.fields.Get("Content-Type")), "text/html")
	switch {
	case answer.status == http.StatusOK && isHTML:
		page := readPage(answer.body)
		base := resolved(page.base, address)
		if base == nil {
			base = address
		}
		for _, link := range page.links {
			if err := frontier.offer(resolved(link, base)); err != nil {
				return "", false, err
			}
		}
		return page.title, true, nil
	case isRedirect(answer.status):
		return "", false, frontier.offer(resolved(answer.fields.Get("Location"), address))
	case answer.status >= 500:
		message := fmt.Sprintf("GET %s answered %d to the last of several tries", address.RequestURI(), answer.status)
		return "", false, &Failure{"status", message}
	}
	return "", false, nil
}

func titleOrNone(title *string) string {
	if title == nil {
		return noTitle
	}
	return *title
}

func line(address, title string) string { return address + "\t" + title + "\n" }

// expectedPages is a line for each page that a crawl must find.
func (report *Report) expectedPages(root *url.URL) (lines []string) {
	for _, page := range report.Pages {
		if page.Allowed {
			lines = append(lines, line(resolved(page.Path, root).String(), titleOrNone(page.Title)))
		}
	}
	return lines
}

func (report *Report) expectedTitles(paths []string) []string {
	known := map[string]string{}
	for _, page := range report.Pages {
		known[page.Path] = titleOrNone(page.Title)
	}
	titles := make([]string, len(paths))
	for number, path := range paths {
		titles[number] = known[path]
	}
	return titles
}

// checkResults is an error unless each expected page is there once, with its title.
func checkResults(expected []string, text []byte) error {
	got := strings.SplitAfter(string(text), "\n")
	got = got[:len(got)-1]
	wanted := append([]string{}, expected...)
	sort.Strings(got)
	sort.Strings(wanted)
	return exactly(wanted, got, "as pages")
}

// wrongVisits are violations in the requests that the site has received since before.
func (report *Report) wrongVisits(before *Report, totals *Totals) (found []string) {
	if disallowed := report.DisallowedRequests - before.DisallowedRequests; disallowed > 0 {
		found = append(found, fmt.Sprintf("%d requests of pages that robots.txt disallows", disallowed))
	}
	if totals.failed > 0 {
		return found
	}
	times := map[string]int64{"/robots.txt": 1}
	for _, page := range report.Pages {
		if page.Allowed {
			times[page.Path] = 1
			if page.FailsOnce {
				times[page.Path] = 2
			}
		}
	}
	for _, path := range report.Redirects {
		times[path] = 1
	}
	for _, document := range report.Documents {
		times[document.Path] = 1
	}
	crawls := totals.succeeded
	for path, each := range times {
		if got := report.Requests[path] - before.Requests[path]; got != each*crawls {
			found = append(found, fmt.Sprintf("expected %d requests of %s in %d crawls, got %d", each*crawls, path, crawls, got))
		}
	}
	for path, count := range report.Requests {
		// The others are broken links, none of which is tried twice.
		if got := count - before.Requests[path]; times[path] == 0 && got > crawls {
			found = append(found, fmt.Sprintf("expected at most %d requests of %s in %d crawls, got %d", crawls, path, crawls, got))
		}
	}
	return found
}

func documentOf(path string, body []byte) Document {
	digest := sha256.Sum256(body)
	return Document{path, len(body), hex.EncodeToString(digest[:])}
}

// wrongFile are violations in a saved document, whose file is removed.
func (document Document) wrongFile(saved string) []string {
	content, err := os.ReadFile(saved)
	if err != nil {
		return nil
	}
	os.Remove(saved)
	if documentOf(document.Path, content) != document {
		return []string{fmt.Sprintf("%s is not %s as it was served", saved, document.Path)}
	}
	return nil
}
