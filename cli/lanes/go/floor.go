// The lane `go-floor`: HTTP over net.Conn, a goroutine per session, without net/http.
//
// The sessions, the workloads and their checks are those of the lane `go`; the parser knows what these workloads need. Nobody
// would write a program so: the distance of `go` from it is its client library.

package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

var floor = Lane{
	name:      "go-floor",
	family:    "floor",
	summary:   "Go: net.Conn and a parser of our own, a floor",
	workloads: overSockets("null", "scripted", "http-get", "http-json", "http-post", "http-delay", "http-fanout", "http-limited"),
}

// overSockets are workloads of the lane `go` with connections instead of its client.
func overSockets(names ...string) starters {
	all, chosen := merged(taskWorkloads, httpWorkloads), starters{}
	for _, name := range names {
		start := all[name]
		chosen[name] = func(round *Round) Workload {
			round.newClient = newSockets
			return start(round)
		}
	}
	return chosen
}

// Sockets is a client with kept connections: as many as had requests in flight at once.
type Sockets struct {
	target *Target
	lock   sync.Mutex
	idle   []*socket
}

func newSockets(target *Target, _ int) Asker { return &Sockets{target: target} }

// ask needs neither a context nor fields of its own: no workload of this lane has them.
func (sockets *Sockets) ask(_ context.Context, method, path string, body []byte, _ http.Header) (*Answer, error) {
	connection, err := sockets.take()
	if err != nil {
		return nil, err
	}
	answer, isKept, err := connection.exchange(sockets.target.authority, method, path, body)
	if err != nil {
		connection.Close()
		sockets.target.traffic.abandoned.Add(1)
		return nil, err
	}
	sockets.target.traffic.requests.Add(1)
	if isKept {
		sockets.lock.Lock()
		sockets.idle = append(sockets.idle, connection)
		sockets.lock.Unlock()
	} else {
		connection.Close()
	}
	return answer, nil
}

// take is an idle connection, or a new one.
func (sockets *Sockets) take() (*socket, error) {
	sockets.lock.Lock()
	if last := len(sockets.idle) - 1; last >= 0 {
		defer sockets.lock.Unlock()
		connection := sockets.idle[last]
		sockets.idle = sockets.idle[:last]
		return connection, nil
	}
	sockets.lock.Unlock()
	// Until it is open, the server may have seen it.
	sockets.target.traffic.abandonedConnections.Add(1)
	connection, err := net.DialTimeout("tcp", sockets.target.address, timeout)
	if err != nil {
		return nil, err
	}
	sockets.target.traffic.abandonedConnections.Add(-1)
	sockets.target.traffic.connections.Add(1)
	return &socket{Conn: connection, reader: bufio.NewReader(connection)}, nil
}

func (sockets *Sockets) CloseIdleConnections() {
	sockets.lock.Lock()
	defer sockets.lock.Unlock()
	for _, connection := range sockets.idle {
		connection.Close()
	}
	sockets.idle = nil
}

// socket is a connection with one request in flight at most.
type socket struct {
	net.Conn
	reader *bufio.Reader
	// The last request, whose memory the next one takes.
	request []byte
	// When the deadline was set.
	set int64
}

// exchange is a response, and whether the connection is kept.
func (socket *socket) exchange(authority, method, path string, body []byte) (*Answer, bool, error) {
	// Not for each request, which would move a timer every time: so it may be a second shorter.
	if now := clock(); now-socket.set > int64(time.Second) {
		socket.set = now
		if err := socket.SetDeadline(time.Now().Add(timeout)); err != nil {
			return nil, false, err
		}
	}
	request := append(socket.request[:0], method...)
	request = append(append(request, ' '), path...)
	request = append(append(request, " HTTP/1.1\r\nHost: "...), authority...)
	if body != nil {
		request = append(request, "\r\nContent-Type: application/json\r\nContent-Length: "...)
		request = strconv.AppendInt(request, int64(len(body)), 10)
	}
	request = append(append(request, "\r\n\r\n"...), body...)
	socket.request = request
	if _, err := socket.Write(request); err != nil {
		return nil, false, err
	}
	line, err := socket.line()
	if err != nil {
		return nil, false, err
	}
	answer, isKept, err := socket.response(line)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return answer, isKept, err
}

// line is the next line without its end, valid until the next read.
func (socket *socket) line() ([]byte, error) {
	line, err := socket.reader.ReadSlice('\n')
	return bytes.TrimSuffix(line, []byte("\r\n")), err
}

// response reads what follows the first line of a response.
func (socket *socket) response(first []byte) (answer *Answer, isKept bool, err error) {
	version, rest, _ := bytes.Cut(first, []byte(" "))
	if len(rest) < 3 {
		return nil, false, &Failure{"io", "the response begins with no status"}
	}
	status, err := strconv.Atoi(string(rest[:3]))
	if err != nil {
		return nil, false, err
	}
	isKept = string(version) == "HTTP/1.1"
	length, isChunked := 0, false
	for {
		line, err := socket.line()
		if err != nil {
			return nil, false, err
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case is(name, "content-length"):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 || length > math.MaxInt32 {
				return nil, false, &Failure{"io", "the response has no valid length"}
			}
		case is(name, "transfer-encoding"):
			isChunked = is(value, "chunked")
		case is(name, "connection") && is(value, "close"):
			isKept = false
		}
	}
	answer = &Answer{status: status}
	if isChunked {
		answer.body, err = socket.chunks()
	} else {
		answer.body = make([]byte, length)
		_, err = io.ReadFull(socket.reader, answer.body)
	}
	return answer, isKept, err
}

// chunks is a body in chunks, without fields after it.
func (socket *socket) chunks() (body []byte, err error) {
	for {
		line, err := socket.line()
		if err != nil {
			return nil, err
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		length, err := strconv.ParseUint(string(size), 16, 31)
		if err != nil {
			return nil, &Failure{"io", "the length of a chunk is no number"}
		}
		part := make([]byte, length+2)
		if _, err := io.ReadFull(socket.reader, part); err != nil {
			return nil, err
		}
		if length == 0 {
			return body, nil
		}
		body = append(body, part[:length]...)
	}
}

// is compares a name without regard to capitals, the name in small letters.
func is(name []byte, known string) bool {
	return len(name) == len(known) && bytes.EqualFold(name, []byte(known))
}
