// The frame of the Go worker: the protocol, draws, histograms, phases and costs.
//
// A worker gets one line of JSON, the plan, on its standard input, measures one round, and answers with one line of JSON on its
// standard output (docs/PROTOCOL.md). The workloads, in files of their own, are what a round consists of.

package main

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"net"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	protocol      = 1
	firstWarmupOp = 1 << 48
	overheadNs    = 20_000_000
	longestNs     = 60_000_000_000
	golden        = 0x9E3779B97F4A7C15
)

var (
	began  = time.Now()
	offset = monotonicOffset()
)

// clock is CLOCK_MONOTONIC in ns, which the runtime reads without a system call.
func clock() int64 {
	return offset + int64(time.Since(began))
}

// monotonicOffset is the value of CLOCK_MONOTONIC at began: the middle of what a series of readings leaves possible.
func monotonicOffset() int64 {
	least, most := int64(math.MinInt64), int64(math.MaxInt64)
	for reading := 0; reading < 1000; reading++ {
		var now syscall.Timespec
		before := int64(time.Since(began))
		syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&now)), 0)
		after := int64(time.Since(began))
		if now.Nano()-after > least {
			least = now.Nano() - after
		}
		if now.Nano()-before < most {
			most = now.Nano() - before
		}
	}
	return least + (most-least)/2
}

// Failure is a failed operation, of a kind that reports count.
type Failure struct{ kind, detail string }

func (failure *Failure) Error() string { return failure.detail }

// Unsupported is the reason that this lane cannot run the plan here.
type Unsupported string

func (reason Unsupported) Error() string { return string(reason) }

func wrongContent(format string, arguments ...any) error {
	return &Failure{"wrong-content", fmt.Sprintf(format, arguments...)}
}

// kindOf is the kind of a failed operation.
func kindOf(err error) string {
	var failure *Failure
	var unknown *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &failure):
		return failure.kind
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.As(err, &unknown):
		return "unknown-host"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "timeout"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "short"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF):
		return "reset"
	}
	return "io"
}

// Draws: the same for operation N in every worker.

func mix(value uint64) uint64 {
	value += golden
	value = (value ^ value>>30) * 0xBF58476D1CE4E5B9
	value = (value ^ value>>27) * 0x94D049BB133111EB
	return value ^ value>>31
}

func draw(seed, index uint64) uint64 {
	return mix(mix(seed) + index*golden)
}

func drawBelow(seed, index, bound uint64) uint64 {
	high, _ := bits.Mul64(draw(seed, index), bound)
	return high
}

// Histogram counts times in ns, in HdrHistogram's buckets of three significant digits up to 60 s.
type Histogram []uint64

func newHistogram() Histogram {
	return make(Histogram, 25<<10+2048)
}

func (histogram Histogram) record(ns int64) {
	value := uint64(1)
	if ns > longestNs {
		value = longestNs
	} else if ns > 1 {
		value = uint64(ns)
	}
	shift := bits.Len64(value) - 11
	if shift < 0 {
		shift = 0
	}
	histogram[uint64(shift)<<10+value>>shift]++
}

func (histogram Histogram) add(other Histogram) {
	for index, count := range other {
		histogram[index] += count
	}
}

// percentile is the highest value of the bucket that holds this share of the values, in ns.
func (histogram Histogram) percentile(share float64) int64 {
	var total, seen uint64
	for _, count := range histogram {
		total += count
	}
	wanted := math.Max(1, math.Ceil(float64(total)*share))
	for index, count := range histogram {
		seen += count
		if count > 0 && float64(seen) >= wanted {
			shift := index>>10 - 1
			if shift < 0 {
				shift = 0
			}
			return int64((index-shift<<10+1)<<shift - 1)
		}
	}
	return 0
}

// encoded is HdrHistogram V2, deflated, in base64.
func (histogram Histogram) encoded() string {
	var payload []byte
	zeros := int64(0)
	for _, count := range histogram {
		if count == 0 {
			zeros++
			continue
		}
		// A negative number stands for a run of zeros. Varints of Go are those of the format, zigzag included.
		if zeros > 0 {
			payload = binary.AppendVarint(payload, -zeros)
		}
		zeros = 0
		payload = binary.AppendVarint(payload, int64(count))
	}
	var head []byte
	for _, word := range []uint32{0x1c849313, uint32(len(payload)), 0, 3} {
		head = binary.BigEndian.AppendUint32(head, word)
	}
	for _, word := range []uint64{1, longestNs, math.Float64bits(1)} {
		head = binary.BigEndian.AppendUint64(head, word)
	}
	var packed bytes.Buffer
	deflating := zlib.NewWriter(&packed)
	deflating.Write(head)
	deflating.Write(payload)
	deflating.Close()
	framed := binary.BigEndian.AppendUint32(nil, 0x1c849314)
	framed = binary.BigEndian.AppendUint32(framed, uint32(packed.Len()))
	return base64.StdEncoding.EncodeToString(append(framed, packed.Bytes()...))
}

// Plan has the fields of a worker's plan that this lane reads.
type Plan struct {
	Protocol int             `json:"protocol"`
	Runtime  string          `json:"runtime"`
	Workload string          `json:"workload"`
	Params   json.RawMessage `json:"params"`
	UnitNs   int64           `json:"unit_ns"`
	CPUs     []int           `json:"cpus"`
	Load     struct {
		Model       string `json:"model"`
		Concurrency int    `json:"concurrency"`
	} `json:"load"`
	Warmup  Stop                     `json:"warmup"`
	Stop    Stop                     `json:"stop"`
	Seed    uint64                   `json:"seed"`
	Targets map[string]PlannedTarget `json:"targets"`
	WorkDir string                   `json:"work_dir"`
	Shard   json.RawMessage          `json:"shard"`

	// Of an open load.
	Arrivals   string `json:"arrivals"`
	ScheduleNs int64  `json:"schedule_ns"`
	DrainNs    int64  `json:"drain_ns"`
	LateNs     int64  `json:"late_ns"`
}

// Stop is the end of a phase: after a time or a number of operations.
type Stop struct {
	DurationNs int64   `json:"duration_ns"`
	Ops        *uint64 `json:"ops"`
}

type PlannedTarget struct {
	URL     string `json:"url"`
	Address string `json:"address"`
}

// Traffic has requests answered and connections opened, of one target.
type Traffic struct {
	requests, connections, abandoned, abandonedConnections atomic.Int64
}

// begun are the connections begun, whether or not they were opened in time.
func (traffic *Traffic) begun() int64 {
	return traffic.connections.Load() + traffic.abandonedConnections.Load()
}

// Target is a target with a URL: the address to connect to, and the path of its URL if it has one.
type Target struct {
	address, authority, ownPath string
	traffic                     *Traffic
}

var targetURL = regexp.MustCompile(`^([^:]*)://([^/?#]*)([^#]*)`)

// path is the path of a request for path: one in the target's URL wins.
func (target *Target) path(path string) string {
	if target.ownPath != "" {
		return target.ownPath
	}
	return path
}

// Round has what the workloads of a round need: the plan, the targets and their traffic, and what is observed.
type Round struct {
	Plan
	// Makes a client for so many requests in flight.
	newClient func(target *Target, connections int) Asker

	traffic map[string]*Traffic
	facts   map[string]string
	lock    sync.Mutex
	times   map[string]Histogram
	numbers map[string]*mean
}

type mean struct {
	total float64
	count int
}

func newRound(plan Plan) *Round {
	round := &Round{Plan: plan, newClient: newHTTPClient, traffic: map[string]*Traffic{}, facts: map[string]string{}}
	for name := range plan.Targets {
		round.traffic[name] = &Traffic{}
	}
	round.forget()
	return round
}

// forget begins a phase: what was observed in the last one does not count.
func (round *Round) forget() {
	round.lock.Lock()
	defer round.lock.Unlock()
	round.times = map[string]Histogram{}
	round.numbers = map[string]*mean{}
}

func (round *Round) unit() time.Duration { return time.Duration(round.UnitNs) }

// target is a target of the plan that is reached over plain HTTP.
func (round *Round) target(name string) (*Target, error) {
	planned, isThere := round.Targets[name]
	if !isThere {
		return nil, Unsupported(fmt.Sprintf("the plan has no target `%s`", name))
	}
	parts := targetURL.FindStringSubmatch(planned.URL)
	if parts == nil || parts[1] != "http" {
		return nil, Unsupported("this lane speaks plain HTTP only")
	}
	authority := parts[2][strings.LastIndex(parts[2], "@")+1:]
	address := planned.Address
	if address == "" {
		url, err := url.Parse("http://" + authority)
		if err != nil {
			return nil, err
		}
		port := url.Port()
		if port == "" {
			port = "80"
		}
		address = net.JoinHostPort(url.Hostname(), port)
	}
	if strings.HasPrefix(address, "unix:") {
		return nil, Unsupported("this lane connects to TCP addresses only")
	}
	return &Target{address, authority, parts[3], round.traffic[name]}, nil
}

// params reads the workload's parameters.
func (round *Round) params(into any) error {
	return json.Unmarshal(round.Params, into)
}

// observe records a time of the histogram name.
func (round *Round) observe(name string, ns int64) {
	round.lock.Lock()
	defer round.lock.Unlock()
	if round.times[name] == nil {
		round.times[name] = newHistogram()
	}
	round.times[name].record(ns)
}

// number records a number whose mean is reported.
func (round *Round) number(name string, value float64) {
	round.lock.Lock()
	defer round.lock.Unlock()
	if round.numbers[name] == nil {
		round.numbers[name] = &mean{}
	}
	round.numbers[name].total += value
	round.numbers[name].count++
}

func truth(value bool) float64 {
	if value {
		return 1
	}
	return 0
}

// Totals is what a round's operations came to, set against the traffic since its set-up.
type Totals struct {
	succeeded, failed     int64
	requests, connections map[string]int64
}

// wrongRequests are violations unless each operation made so many requests, beside others that belong to none.
func (totals *Totals) wrongRequests(target string, each, others int64) []string {
	counted := totals.requests[target] - others
	expected := totals.succeeded * each
	if totals.failed > 0 || counted == expected {
		return nil
	}
	return []string{fmt.Sprintf("expected %d requests to `%s` (%d operations × %d), counted %d",
		expected, target, totals.succeeded, each, counted)}
}

// Workload is a workload of one round; Operate gets what Open returns.
type Workload interface {
	Prepare() error
	Open(index int) (any, error)
	Operate(session any, op uint64) error
	Close(session any)
	// Violations are those that only the end of the round shows.
	Violations(totals *Totals) []string
}

// Common is what most workloads have in common: nothing to prepare, to open or to check at the end.
type Common struct{ round *Round }

func (Common) Prepare() error              { return nil }
func (Common) Open(int) (any, error)       { return nil, nil }
func (Common) Close(any)                   {}
func (Common) Violations(*Totals) []string { return nil }

type failures struct {
	count   uint64
	example string
	service Histogram
}

// Tally has the results of one session in one phase. Filled by the session alone, so that nothing is shared while it runs.
type Tally struct {
	service             Histogram
	succeeded           int64
	failures            map[string]*failures
	firstStart, lastEnd int64
}

func newTally() Tally {
	return Tally{service: newHistogram(), failures: map[string]*failures{}}
}

func (tally *Tally) ended(start, end int64, err error) {
	if tally.firstStart == 0 {
		tally.firstStart = start
	}
	tally.lastEnd = end
	if err == nil {
		tally.service.record(end - start)
		tally.succeeded++
		return
	}
	kind := kindOf(err)
	if tally.failures[kind] == nil {
		tally.failures[kind] = &failures{example: err.Error(), service: newHistogram()}
	}
	tally.failures[kind].count++
	tally.failures[kind].service.record(end - start)
}

// Phase is a phase of closed load: it numbers its operations, and says when a session has done its part.
type Phase struct {
	tallies []Tally
}

// runPhase runs a goroutine per session, with two clock reads around each operation.
func runPhase(stop Stop, firstOp uint64, sessions []any, operate func(any, uint64) error) *Phase {
	phase := &Phase{make([]Tally, len(sessions))}
	for index := range phase.tallies {
		phase.tallies[index] = newTally()
	}
	until := int64(math.MaxInt64)
	if stop.DurationNs > 0 {
		until = clock() + stop.DurationNs
	}
	var running sync.WaitGroup
	for index := range sessions {
		running.Add(1)
		go func(index int) {
			defer running.Done()
			tally, session, stride := &phase.tallies[index], sessions[index], uint64(len(sessions))
			left := uint64(math.MaxUint64)
			if stop.Ops != nil {
				left = *stop.Ops / stride
				if uint64(index) < *stop.Ops%stride {
					left++
				}
			}
			for op := firstOp + uint64(index); left > 0 && tally.lastEnd < until; op += stride {
				start := clock()
				err := operate(session, op)
				tally.ended(start, clock(), err)
				left--
			}
		}(index)
	}
	running.Wait()
	return phase
}

func (phase *Phase) succeeded() (sum int64) {
	for _, tally := range phase.tallies {
		sum += tally.succeeded
	}
	return sum
}

func (phase *Phase) failed() (sum int64) {
	for _, failures := range phase.failures() {
		sum += int64(failures.count)
	}
	return sum
}

// span is the first start and the last end of an operation.
func (phase *Phase) span() (first, last int64) {
	for _, tally := range phase.tallies {
		if tally.lastEnd == 0 {
			continue
		}
		if first == 0 || tally.firstStart < first {
			first = tally.firstStart
		}
		if tally.lastEnd > last {
			last = tally.lastEnd
		}
	}
	return first, last
}

func (phase *Phase) sessionNs() (sum int64) {
	for _, tally := range phase.tallies {
		sum += tally.lastEnd - tally.firstStart
	}
	return sum
}

// throughput is operations per second: those of each session over the time from the phase's start to its own last end, summed.
func (phase *Phase) throughput() (sum float64) {
	first, _ := phase.span()
	for _, tally := range phase.tallies {
		if tally.succeeded > 0 {
			sum += float64(tally.succeeded) * 1e9 / float64(tally.lastEnd-first)
		}
	}
	return sum
}

func (phase *Phase) service() Histogram {
	merged := newHistogram()
	for _, tally := range phase.tallies {
		merged.add(tally.service)
	}
	return merged
}

func (phase *Phase) failures() map[string]*failures {
	merged := map[string]*failures{}
	for _, tally := range phase.tallies {
		for kind, own := range tally.failures {
			if merged[kind] == nil {
				merged[kind] = &failures{example: own.example, service: newHistogram()}
			}
			merged[kind].count += own.count
			merged[kind].service.add(own.service)
		}
	}
	return merged
}

func usage() (now syscall.Rusage) {
	syscall.Getrusage(syscall.RUSAGE_SELF, &now)
	return now
}

// costSince is the cost of the measured phase to this process.
func costSince(before syscall.Rusage) map[string]any {
	now := usage()
	threads, _ := os.ReadDir("/proc/self/task")
	return map[string]any{
		"cpu_user_ns":          now.Utime.Nano() - before.Utime.Nano(),
		"cpu_system_ns":        now.Stime.Nano() - before.Stime.Nano(),
		"voluntary_switches":   now.Nvcsw - before.Nvcsw,
		"involuntary_switches": now.Nivcsw - before.Nivcsw,
		"minor_faults":         now.Minflt - before.Minflt,
		"major_faults":         now.Majflt - before.Majflt,
		"peak_rss_bytes":       peakRssBytes(),
		"threads":              len(threads),
	}
}

var highWater = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+)`)

// peakRssBytes is the peak resident memory since this program began; that of getrusage includes the program before it.
func peakRssBytes() any {
	status, _ := os.ReadFile("/proc/self/status")
	found := highWater.FindSubmatch(status)
	if found == nil {
		return nil
	}
	kib, _ := strconv.ParseInt(string(found[1]), 10, 64)
	return kib * 1024
}

// measure is one round: set-up, warm-up, overhead, measurement, checks.
func measure(workload Workload, round *Round) (map[string]any, error) {
	if err := workload.Prepare(); err != nil {
		return nil, err
	}
	sessions := make([]any, round.Load.Concurrency)
	for index := range sessions {
		session, err := workload.Open(index)
		if err != nil {
			return nil, err
		}
		sessions[index] = session
	}
	totals := &Totals{requests: map[string]int64{}, connections: map[string]int64{}}
	for name, traffic := range round.traffic {
		totals.requests[name] = -traffic.requests.Load()
		totals.connections[name] = -traffic.begun()
	}
	nothing := func(any, uint64) error { return nil }
	warmup := runPhase(round.Warmup, firstWarmupOp, sessions, workload.Operate)
	overhead := runPhase(Stop{DurationNs: overheadNs}, 0, sessions, nothing)
	round.forget()
	before := usage()
	measured, open, err := runMeasured(round, sessions, workload.Operate)
	if err != nil {
		return nil, err
	}
	cost := costSince(before)
	phases := [3]*Phase{warmup, overhead, measured}
	if open != nil && open.unfinished > 0 {
		// Sessions are still in operations that were given up: nothing can be closed or checked.
		return open.complete(measurement(round, phases, cost, []string{})), nil
	}
	for _, session := range sessions {
		workload.Close(session)
	}
	totals.succeeded = warmup.succeeded() + measured.succeeded()
	totals.failed = warmup.failed() + measured.failed()
	for name, traffic := range round.traffic {
		totals.requests[name] += traffic.requests.Load()
		totals.connections[name] += traffic.begun()
	}
	violations := append([]string{}, workload.Violations(totals)...)
	return open.complete(measurement(round, phases, cost, violations)), nil
}

// runMeasured is the measured phase; an open load has numbers of its own.
func runMeasured(round *Round, sessions []any, operate func(any, uint64) error) (*Phase, *OpenPhase, error) {
	if round.Arrivals == "" {
		return runPhase(round.Stop, 0, sessions, operate), nil, nil
	}
	open, err := runOpenPhase(round.Plan, sessions, operate)
	if err != nil {
		return nil, nil, err
	}
	return &open.Phase, open, nil
}

func measurement(round *Round, phases [3]*Phase, cost map[string]any, violations []string) map[string]any {
	warmup, overhead, measured := phases[0], phases[1], phases[2]
	first, last := measured.span()
	empty := overhead.service()
	without := 0
	for _, tally := range measured.tallies {
		if tally.succeeded == 0 {
			without++
		}
	}
	warmupErrors, errors := map[string]uint64{}, map[string]any{}
	for kind, failures := range warmup.failures() {
		warmupErrors[kind] = failures.count
	}
	for kind, failures := range measured.failures() {
		errors[kind] = map[string]any{
			"count": failures.count, "example": failures.example, "service": failures.service.encoded(),
		}
	}
	observed, gauges, traffic := map[string]string{}, map[string]float64{}, map[string]any{}
	for name, histogram := range round.times {
		observed[name] = histogram.encoded()
	}
	for name, number := range round.numbers {
		gauges[name] = number.total / float64(number.count)
	}
	for name, counts := range round.traffic {
		traffic[name] = map[string]int64{
			"requests":              counts.requests.Load(),
			"connections":           counts.connections.Load(),
			"abandoned":             counts.abandoned.Load(),
			"abandoned_connections": counts.abandonedConnections.Load(),
		}
	}
	return map[string]any{
		"sessions":                 round.Load.Concurrency,
		"worker_threads":           runtime.GOMAXPROCS(0),
		"runtime_facts":            round.facts,
		"ops":                      measured.succeeded(),
		"warmup_ops":               warmup.succeeded() + warmup.failed(),
		"warmup_errors":            warmupErrors,
		"elapsed_ns":               last - first,
		"session_ns":               measured.sessionNs(),
		"throughput_ops_s":         measured.throughput(),
		"sessions_without_success": without,
		"service":                  measured.service().encoded(),
		"overhead": map[string]any{
			"ops":              overhead.succeeded(),
			"throughput_ops_s": overhead.throughput(),
			"service_p50_ns":   empty.percentile(0.5),
			"service_p99_ns":   empty.percentile(0.99),
		},
		"observed":   observed,
		"gauges":     gauges,
		"errors":     errors,
		"traffic":    traffic,
		"cost":       cost,
		"violations": violations,
	}
}

func work(plan Plan) map[string]any {
	answer := func(status, format string, arguments ...any) map[string]any {
		return map[string]any{"protocol": protocol, "status": status, "reason": fmt.Sprintf(format, arguments...)}
	}
	lane := laneOf(plan)
	name := lane.name
	start, isKnown := lane.workloads[plan.Workload]
	switch {
	case plan.Protocol != protocol:
		return answer("failed", "expected a plan of protocol %d, got %d", protocol, plan.Protocol)
	case !isKnown:
		return answer("unsupported", "%s has no workload `%s`", name, plan.Workload)
	case len(plan.Shard) > 0 && string(plan.Shard) != "null":
		return answer("unsupported", "%s has no shares of a load", name)
	case plan.Load.Model == "open" && plan.Arrivals == "":
		return answer("unsupported", "%s does not pace arrivals by itself", name)
	}
	// The runtime takes the CPUs of this process, or what its control group allows: the plan says it.
	if len(plan.CPUs) > 0 {
		runtime.GOMAXPROCS(len(plan.CPUs))
	}
	round := newRound(plan)
	round.facts["compiler"] = runtime.Version()
	round.facts["gomaxprocs"] = strconv.Itoa(runtime.GOMAXPROCS(0))
	measured, err := measure(start(round), round)
	var unsupported Unsupported
	switch {
	case err == nil:
		return map[string]any{"protocol": protocol, "status": "ok", "measurement": measured}
	case errors.As(err, &unsupported):
		return answer("unsupported", "%s", unsupported)
	case kindOf(err) == "wrong-content":
		return answer("wrong", "setting up failed: %s", err)
	}
	return answer("failed", "setting up failed: %s", err)
}
