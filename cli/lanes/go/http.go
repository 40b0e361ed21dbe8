// HTTP workloads with net/http.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const timeout = 10 * time.Second

// Asker is a client of one target: net/http's, or connections without it.
type Asker interface {
	ask(ctx context.Context, method, path string, body []byte, fields http.Header) (*Answer, error)
	CloseIdleConnections()
}

// Client is a client of one target that counts connections and requests. Its transport keeps as many connections as may be in use
// at once: by default it keeps two, and opens and closes the others.
type Client struct {
	http.Client
	target *Target
	opened atomic.Int64
}

func newClient(target *Target, connections int) *Client {
	client := &Client{target: target}
	dialer := net.Dialer{Timeout: timeout}
	transport := &http.Transport{
		MaxConnsPerHost:     connections,
		MaxIdleConnsPerHost: connections,
		IdleConnTimeout:     90 * time.Second,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			// Until it is open, the server may have seen it.
			target.traffic.abandonedConnections.Add(1)
			connection, err := dialer.DialContext(ctx, network, target.address)
			if err == nil {
				target.traffic.abandonedConnections.Add(-1)
				target.traffic.connections.Add(1)
				client.opened.Add(1)
			}
			return connection, err
		},
	}
	client.Transport, client.Timeout = transport, timeout
	// A redirect would be a request that nobody counts.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// newHTTPClient is such a client as an Asker.
func newHTTPClient(target *Target, connections int) Asker { return newClient(target, connections) }

// Answer is status, header and body of one response.
type Answer struct {
	status int
	fields http.Header
	body   []byte
}

func (client *Client) ask(ctx context.Context, method, path string, body []byte, fields http.Header) (*Answer, error) {
	answer, err := client.exchange(ctx, method, path, body, fields)
	if err != nil {
		// When a kept connection breaks, the transport sends a request that may be repeated a second time, unasked.
		client.target.traffic.abandoned.Add(2)
		return nil, err
	}
	client.target.traffic.requests.Add(1)
	return answer, nil
}

func (client *Client) exchange(ctx context.Context, method, path string, body []byte, fields http.Header) (*Answer, error) {
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(body)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+client.target.authority+path, content)
	if err != nil {
		return nil, err
	}
	for name, values := range fields {
		request.Header[name] = values
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	// Only a body that is read to its end leaves the connection for the next request.
	answered, err := io.ReadAll(response.Body)
	return &Answer{response.StatusCode, response.Header, answered}, err
}

func get(client Asker, path string) (*Answer, error) {
	return client.ask(context.Background(), http.MethodGet, path, nil, nil)
}

// HTTP is what workloads with a client have in common. All sessions share the client, as its documentation recommends.
type HTTP struct {
	Common
	Expectation
	// Requests of an operation, and those of a session in flight at once.
	requests, connections int

	target *Target
	client Asker
}

// prepare reads the parameters, and makes the client.
func (workload *HTTP) prepare(params any) (err error) {
	if err := workload.round.params(params); err != nil {
		return err
	}
	workload.read()
	workload.target, err = workload.round.target("http")
	return err
}

// connect makes the client for so many requests in flight of each session.
func (workload *HTTP) connect(requests, connections int) {
	workload.requests, workload.connections = requests, connections
	workload.client = workload.round.newClient(workload.target, connections*workload.round.Load.Concurrency)
}

// fetch gets the bodies of responses before the measurement, by path, to compare later ones with.
func (workload *HTTP) fetch(paths []string) (map[string][]byte, error) {
	client := workload.round.newClient(workload.target, 1)
	defer client.CloseIdleConnections()
	bodies := map[string][]byte{}
	for _, path := range paths {
		if bodies[path] != nil {
			continue
		}
		answer, err := get(client, path)
		if err != nil {
			return nil, err
		}
		if err := workload.checkStatus("GET "+path, answer.status); err != nil {
			return nil, err
		}
		bodies[path] = answer.body
	}
	return bodies, nil
}

// get is a request whose response must be as before.
func (workload *HTTP) get(path string, expected []byte) error {
	return workload.getBy(context.Background(), workload.client, path, expected)
}

func (workload *HTTP) getBy(ctx context.Context, client Asker, path string, expected []byte) error {
	answer, err := client.ask(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return err
	}
	return workload.check("GET "+path, answer, expected)
}

func (workload *HTTP) Close(any) { workload.client.CloseIdleConnections() }

func (workload *HTTP) Violations(totals *Totals) []string {
	return totals.wrongRequests("http", int64(workload.requests), 0)
}

type HTTPGet struct {
	HTTP
	Path     string
	Numbered bool

	path     string
	expected []byte
}

func (workload *HTTPGet) Prepare() error {
	if err := workload.prepare(workload); err != nil {
		return err
	}
	workload.path = workload.target.path(workload.Path)
	bodies, err := workload.fetch([]string{workload.path})
	workload.expected = bodies[workload.path]
	workload.connect(1, 1)
	return err
}

func (workload *HTTPGet) Operate(_ any, op uint64) error {
	path := workload.path
	if workload.Numbered {
		path = numbered(path, op)
	}
	return workload.get(path, workload.expected)
}

// numbered is the path of operation op, for a server that draws by its number.
func numbered(path string, op uint64) string {
	sign := "?"
	if strings.Contains(path, "?") {
		sign = "&"
	}
	return fmt.Sprintf("%s%sop=%d", path, sign, op)
}

// HTTPConnect has a new connection for each request.
type HTTPConnect struct{ HTTPGet }

func (workload *HTTPConnect) Prepare() error {
	err := workload.HTTPGet.Prepare()
	if client, isThere := workload.client.(*Client); isThere {
		client.Transport.(*http.Transport).DisableKeepAlives = true
	}
	return err
}

func (workload *HTTPConnect) Violations(totals *Totals) []string {
	found := workload.HTTPGet.Violations(totals)
	if connections := totals.connections["http"]; totals.failed == 0 && connections != totals.succeeded {
		found = append(found,
			fmt.Sprintf("expected a connection for each of %d requests, got %d", totals.succeeded, connections))
	}
	return found
}

type HTTPPost struct {
	HTTP
	Path string
	Size Size

	path, filling string
}

type sent struct {
	Operation uint64 `json:"operation"`
	Filling   string `json:"filling"`
}

func (workload *HTTPPost) Prepare() error {
	if err := workload.prepare(workload); err != nil {
		return err
	}
	size := int(workload.Size)
	workload.path = workload.target.path(workload.Path)
	workload.filling = strings.Repeat("abcdefghijklmnopqrstuvwxyz", size/26+1)[:size]
	workload.connect(1, 1)
	return nil
}

func (workload *HTTPPost) Operate(_ any, op uint64) error {
	document := sent{op, workload.filling}
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	answer, err := workload.client.ask(context.Background(), http.MethodPost, workload.path, body, nil)
	if err != nil {
		return err
	}
	if err := workload.checkStatus("POST "+workload.path, answer.status); err != nil || !workload.compares() {
		return err
	}
	var echoed sent
	if err := json.Unmarshal(answer.body, &echoed); err != nil || echoed != document {
		return wrongContent("expected the document of operation %d, got another", op)
	}
	return nil
}

// FanOut has several requests, at once or one after another.
type FanOut struct {
	HTTP
	paths    []string
	expected map[string][]byte
}

// plan sets the paths of an operation, and learns what they answer.
func (workload *FanOut) plan(paths []string, connections int) (err error) {
	for _, path := range paths {
		workload.paths = append(workload.paths, workload.target.path(path))
	}
	workload.expected, err = workload.fetch(workload.paths)
	workload.connect(len(paths), connections)
	return err
}

func (workload *FanOut) part(number int) error {
	path := workload.paths[number]
	return workload.get(path, workload.expected[path])
}

func (workload *FanOut) Operate(any, uint64) error {
	return atOnce(len(workload.paths), workload.part)
}

// numberedPaths are a path with the numbers from 1 on.
func numberedPaths(path string, count int) []string {
	var paths []string
	for number := 1; number <= count; number++ {
		paths = append(paths, fmt.Sprintf("%s%d", path, number))
	}
	return paths
}

// HTTPStream asks for URLs one after another over one connection.
type HTTPStream struct {
	FanOut
	Path string
	URLs int
}

func (workload *HTTPStream) Prepare() error {
	if err := workload.prepare(workload); err != nil {
		return err
	}
	return workload.plan(numberedPaths(workload.Path, workload.URLs), 1)
}

func (workload *HTTPStream) Operate(any, uint64) error {
	for number := range workload.paths {
		if err := workload.part(number); err != nil {
			return err
		}
	}
	return nil
}

type HTTPFanout struct {
	FanOut
	Paths []string
}

func (workload *HTTPFanout) Prepare() error {
	if err := workload.prepare(workload); err != nil {
		return err
	}
	return workload.plan(workload.Paths, len(workload.Paths))
}

type HTTPDelay struct {
	FanOut
	Path     string
	Requests int
}

func (workload *HTTPDelay) Prepare() error {
	if err := workload.prepare(workload); err != nil {
		return err
	}
	paths := make([]string, workload.Requests)
	for number := range paths {
		paths[number] = workload.Path
	}
	return workload.plan(paths, len(paths))
}

type HTTPJSON struct {
	FanOut
	User  string
	Posts []string

	served []any
}

func (workload *HTTPJSON) Prepare() error {
	if err := workload.prepare(workload); err != nil {
		return err
	}
	paths := append([]string{workload.User}, workload.Posts...)
	if err := workload.plan(paths, len(paths)); err != nil {
		return err
	}
	for place, path := range workload.paths {
		decoded, err := document(place, workload.expected[path])
		if err != nil {
			return err
		}
		workload.served = append(workload.served, decoded)
	}
	return checkAuthors(workload.served)
}

func (workload *HTTPJSON) Operate(any, uint64) error {
	return atOnce(len(workload.paths), func(place int) error {
		path := workload.paths[place]
		answer, err := get(workload.client, path)
		if err != nil {
			return err
		}
		if err := workload.checkStatus("GET "+path, answer.status); err != nil {
			return err
		}
		decoded, err := document(place, answer.body)
		if err != nil || !workload.compares() {
			return err
		}
		return exactly(workload.served[place], decoded, "from "+path)
	})
}

// HTTPLimited has many URLs, of which a semaphore lets a few be in flight.
type HTTPLimited struct {
	FanOut
	URLs         int
	AtOnce       int `json:"at_once"`
	LongestUnits int `json:"longest_units"`
}

func (workload *HTTPLimited) Prepare() error {
	if err := workload.prepare(workload); err != nil {
		return err
	}
	var delays []string
	for units := 1; units <= workload.LongestUnits; units++ {
		delays = append(delays, delayedPath(workload.round.unit()*time.Duration(units)))
	}
	if err := workload.plan(delays, workload.AtOnce); err != nil {
		return err
	}
	workload.requests = workload.URLs
	return nil
}

func (workload *HTTPLimited) Operate(_ any, op uint64) error {
	semaphore := make(chan struct{}, workload.AtOnce)
	var inFlight Peak
	first := op * uint64(workload.URLs)
	err := atOnce(workload.URLs, func(number int) error {
		// Each URL is drawn by its number.
		drawn := drawBelow(workload.round.Seed, first+uint64(number), uint64(len(workload.paths)))
		semaphore <- struct{}{}
		defer func() { <-semaphore }()
		inFlight.add(1)
		defer inFlight.add(-1)
		return workload.part(int(drawn))
	})
	if err != nil {
		return err
	}
	return inFlight.atMost(workload.AtOnce, "requests in flight")
}

// HTTPQueue has many URLs in a channel to a few workers, which end when it is closed and empty.
type HTTPQueue struct {
	FanOut
	Path          string
	URLs, Workers int
}

func (workload *HTTPQueue) Prepare() error {
	if err := workload.prepare(workload); err != nil {
		return err
	}
	return workload.plan(numberedPaths(workload.Path, workload.URLs), workload.Workers)
}

func (workload *HTTPQueue) Operate(any, uint64) error {
	queue := make(chan int, workload.URLs)
	for url := 0; url < workload.URLs; url++ {
		queue <- url
	}
	close(queue)
	var lock sync.Mutex
	var fetched []int
	err := atOnce(workload.Workers, func(int) error {
		for url := range queue {
			if err := workload.part(url); err != nil {
				return err
			}
			lock.Lock()
			fetched = append(fetched, url)
			lock.Unlock()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return eachOnce(fetched, workload.URLs, "URL")
}

// HTTPTimeout has a request that its context ends at a deadline before its response; shielded, it goes on without its caller.
type HTTPTimeout struct {
	HTTP
	Path          string
	TakesUnits    float64 `json:"takes_units"`
	DeadlineUnits float64 `json:"deadline_units"`
	Shielded      bool

	deadline, answer time.Duration
	path             string
	expected         []byte
	answered         atomic.Int64
}

func (workload *HTTPTimeout) Prepare() error {
	if err := workload.prepare(workload); err != nil {
		return err
	}
	workload.deadline = workload.round.inUnits(workload.DeadlineUnits)
	workload.answer = workload.round.inUnits(workload.TakesUnits)
	path := workload.Path
	if path == "" {
		path = delayedPath(workload.answer)
	}
	workload.path = workload.target.path(path)
	bodies, err := workload.fetch([]string{workload.path})
	workload.expected = bodies[workload.path]
	workload.requests = 1
	return err
}

// Each session has a client of its own: the next operation has to find no connection.
type timeoutSession struct{ client *Client }

func (workload *HTTPTimeout) Open(int) (any, error) {
	return &timeoutSession{newClient(workload.target, 1)}, nil
}

func (workload *HTTPTimeout) Close(session any) {
	session.(*timeoutSession).client.CloseIdleConnections()
}

func (workload *HTTPTimeout) Operate(session any, _ uint64) error {
	own := session.(*timeoutSession)
	client, opened := own.client, own.client.opened.Load()
	begun := clock()
	ctx, cancel := context.WithTimeout(context.Background(), workload.deadline)
	defer cancel()
	work := make(chan error, 1)
	var err error
	if workload.Shielded {
		go func() { work <- workload.getBy(context.Background(), client, workload.path, workload.expected) }()
		select {
		case err = <-work:
			work <- err
		case <-ctx.Done():
			err = ctx.Err()
		}
	} else {
		err = workload.getBy(ctx, client, workload.path, workload.expected)
	}
	answered := int64(1)
	if errors.Is(err, context.DeadlineExceeded) {
		answered, err = 0, nil
	}
	if err != nil {
		return err
	}
	// A caller gives up at the deadline, and has an answer by then only if it woke late.
	if err := noShorter(workload.deadline, clock()-begun, "a request with a deadline"); err != nil {
		return err
	}
	if workload.Shielded {
		err = <-work
	} else if answered == 1 || client.opened.Load() == opened {
		// The connection of a request that was given up is closed. One that was answered keeps its connection, and one that was
		// given up before it had any may still get it.
		client.CloseIdleConnections()
		own.client = newClient(workload.target, 1)
	}
	workload.answered.Add(answered)
	workload.round.number("answered_past_deadline_share", float64(answered))
	return err
}

func (workload *HTTPTimeout) Violations(totals *Totals) (found []string) {
	succeeded, answered := totals.succeeded, workload.answered.Load()
	if workload.Shielded {
		found = workload.HTTP.Violations(totals)
	} else if connections := totals.connections["http"]; totals.failed == 0 && connections < succeeded {
		found = append(found, fmt.Sprintf("expected a connection for each of %d operations, got %d", succeeded, connections))
	}
	if succeeded >= 10 && answered*2 > succeeded && workload.answer > 2*workload.deadline {
		found = append(found, fmt.Sprintf("%d of %d operations got their answer long after the deadline", answered, succeeded))
	}
	return found
}

// HTTPRetry has an endpoint that fails before it succeeds, asked again after waits that double up to a cap.
type HTTPRetry struct {
	HTTP
	Path       string
	Tries      int
	CapUnits   float64 `json:"cap_units"`
	LastStatus *int    `json:"last_status"`
}

func (workload *HTTPRetry) Prepare() error {
	err := workload.prepare(workload)
	if err == nil {
		workload.connect(workload.Tries, 1)
	}
	return err
}

func (workload *HTTPRetry) Operate(_ any, op uint64) error {
	path := workload.target.path(fmt.Sprintf("%s%d", workload.Path, op))
	var ended int64
	status, attempt := 0, 0
	for attempt < workload.Tries && status != http.StatusOK {
		attempt++
		if attempt > 1 {
			pause := workload.round.inUnits(math.Min(math.Pow(2, float64(attempt-2)), workload.CapUnits))
			time.Sleep(pause)
			if err := noShorter(pause, clock()-ended, fmt.Sprintf("the wait before attempt %d", attempt)); err != nil {
				return err
			}
		}
		answer, err := get(workload.client, path)
		if err != nil {
			return err
		}
		status, ended = answer.status, clock()
	}
	last := http.StatusOK
	if workload.LastStatus != nil {
		last = *workload.LastStatus
	}
	if err := exactly(last, status, "as the last status"); err != nil {
		return err
	}
	return exactly(workload.Tries, attempt, "attempts")
}

func (workload *HTTPRetry) Violations(totals *Totals) []string {
	least := totals.succeeded * int64(workload.Tries)
	most := least + totals.failed*int64(workload.Tries)
	if counted := totals.requests["http"]; counted < least || counted > most {
		return []string{fmt.Sprintf("expected %d to %d requests (%d attempts per operation), counted %d",
			least, most, workload.Tries, counted)}
	}
	return nil
}

// The failures of `http-errors`, in turn.
var faults = []string{"refused", "reset", "unknown-host", "status"}

// A label of a name has at most 63 letters (RFC 1035, section 2.3.4): this name has no address, and nobody is asked.
const unknownHost = "a234567890123456789012345678901234567890123456789012345678901234"

// HTTPErrors has three requests at once, one of which fails: refused, reset, of an unknown host or with a status, in turn.
type HTTPErrors struct {
	FanOut
	Paths          []string
	Failing, Reset string

	failing map[string]*Client
	answers atomic.Int64
}

// closedPort is a port that refuses connections, held so that nobody else listens there.
func closedPort() (int, error) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		return 0, err
	}
	return name.(*syscall.SockaddrInet4).Port, nil
}

func (workload *HTTPErrors) Prepare() error {
	if err := workload.prepare(workload); err != nil {
		return err
	}
	port, err := closedPort()
	if err != nil {
		return err
	}
	if err := workload.plan(workload.Paths, len(workload.Paths)); err != nil {
		return err
	}
	sessions := workload.round.Load.Concurrency
	// What never reaches the server is not part of its traffic.
	elsewhere := func(address string) *Client {
		return newClient(&Target{address: address, authority: address, traffic: &Traffic{}}, sessions)
	}
	workload.failing = map[string]*Client{
		"refused":      elsewhere(fmt.Sprintf("127.0.0.1:%d", port)),
		"unknown-host": elsewhere(unknownHost + ":80"),
		"status":       newClient(workload.target, sessions),
		// With connections of its own: for each kept one that breaks, the transport would ask again.
		"reset": newClient(workload.target, sessions),
	}
	return nil
}

func (workload *HTTPErrors) Close(session any) {
	workload.FanOut.Close(session)
	for _, client := range workload.failing {
		client.CloseIdleConnections()
	}
}

func (workload *HTTPErrors) Operate(_ any, op uint64) error {
	kind := faults[op%4]
	return atOnce(len(workload.paths)+1, func(number int) error {
		if number < len(workload.paths) {
			return workload.part(number)
		}
		return workload.fail(kind)
	})
}

func (workload *HTTPErrors) fail(kind string) error {
	path := workload.Failing
	if kind == "reset" {
		path = workload.Reset
	}
	got := "success"
	answer, err := get(workload.failing[kind], path)
	if err != nil {
		got = kindOf(err)
	} else if answer.status >= 400 {
		got = "status"
	}
	if got != kind {
		return wrongContent("expected failure `%s`, got `%s`: %v", kind, got, err)
	}
	if kind == "status" {
		workload.answers.Add(1)
	}
	return nil
}

func (workload *HTTPErrors) Violations(totals *Totals) []string {
	return totals.wrongRequests("http", int64(len(workload.paths)), workload.answers.Load())
}

func common(round *Round) HTTP { return HTTP{Common: Common{round}} }

func fanOut(round *Round) FanOut { return FanOut{HTTP: common(round)} }

var httpWorkloads = starters{
	"http-get":     func(round *Round) Workload { return &HTTPGet{HTTP: common(round)} },
	"http-connect": func(round *Round) Workload { return &HTTPConnect{HTTPGet{HTTP: common(round)}} },
	"http-post":    func(round *Round) Workload { return &HTTPPost{HTTP: common(round)} },
	"http-stream":  func(round *Round) Workload { return &HTTPStream{FanOut: fanOut(round)} },
	"http-fanout":  func(round *Round) Workload { return &HTTPFanout{FanOut: fanOut(round)} },
	"http-delay":   func(round *Round) Workload { return &HTTPDelay{FanOut: fanOut(round)} },
	"http-json":    func(round *Round) Workload { return &HTTPJSON{FanOut: fanOut(round)} },
	"http-limited": func(round *Round) Workload { return &HTTPLimited{FanOut: fanOut(round)} },
	"http-queue":   func(round *Round) Workload { return &HTTPQueue{FanOut: fanOut(round)} },
	"http-timeout": func(round *Round) Workload { return &HTTPTimeout{HTTP: common(round)} },
	"http-retry":   func(round *Round) Workload { return &HTTPRetry{HTTP: common(round)} },
	"http-errors":  func(round *Round) Workload { return &HTTPErrors{FanOut: fanOut(round)} },
}
