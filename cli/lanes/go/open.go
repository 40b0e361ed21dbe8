// The measured phase of an open load: arrivals from the orchestrator's FIFO, each timed from when it was due.
//
// One goroutine reads the FIFO into a channel, from which the sessions take them.

package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// mostWaiting is the number of arrivals that wait here. Others wait in the FIFO, and behind it with the parent, so that memory
// stays flat.
const mostWaiting = 4096

// mostTallies: sessions beyond that share them, since each holds histograms.
const mostTallies = 16

type arrival struct {
	op  uint64
	due int64
}

// readArrival reads a record of 16 bytes: a number, and a time of CLOCK_MONOTONIC.
func readArrival(from io.Reader) (arrival, error) {
	var record [16]byte
	_, err := io.ReadFull(from, record[:])
	return arrival{binary.LittleEndian.Uint64(record[:8]), int64(binary.LittleEndian.Uint64(record[8:]))}, err
}

type openTally struct {
	Tally
	lock          sync.Mutex
	response, lag Histogram
	late, inTime  int64
}

// OpenPhase has the arrivals of a schedule, which the parent process keeps, and what became of them.
type OpenPhase struct {
	Phase
	plan Plan
	end  int64
	cut  int64

	shared []openTally
	// Of each session: the due time of the arrival in flight, its first start and its last end.
	inFlight, starts, ends []atomic.Int64
	received               atomic.Int64

	// Guards those below.
	lock               sync.Mutex
	unsent, unfinished int64
	overdue            Histogram
}

// runOpenPhase takes arrivals until there are no more, or until time is up.
func runOpenPhase(plan Plan, sessions []any, operate func(any, uint64) error) (*OpenPhase, error) {
	phase := &OpenPhase{plan: plan, overdue: newHistogram()}
	phase.inFlight = make([]atomic.Int64, len(sessions))
	phase.starts = make([]atomic.Int64, len(sessions))
	phase.ends = make([]atomic.Int64, len(sessions))
	phase.shared = make([]openTally, mostTallies)
	for index := range phase.shared {
		tally := &phase.shared[index]
		tally.Tally = newTally()
		tally.response, tally.lag = newHistogram(), newHistogram()
	}
	// Waits for the parent's end.
	file, err := os.Open(plan.Arrivals)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	reader := bufio.NewReaderSize(file, 16*mostWaiting)
	first, err := readArrival(reader)
	if err != nil {
		return nil, err
	}
	// No arrival is started after cut, and none is waited for after as long again.
	phase.end = first.due
	phase.cut = phase.end + plan.DrainNs
	arrivals := make(chan arrival, mostWaiting)
	go phase.read(reader, arrivals)

	done := make(chan struct{})
	go func() {
		defer close(done)
		atOnce(len(sessions), func(index int) error {
			for next := range arrivals {
				phase.session(index, sessions[index], next, operate)
			}
			return nil
		})
	}()
	select {
	case <-done:
	case <-until(phase.cut):
		// Sessions may all be in flight: what is left is read all the same.
		all := make(chan struct{})
		go func() {
			defer close(all)
			for left := range arrivals {
				phase.leave(left.due)
			}
			<-done
		}()
		select {
		case <-all:
		case <-until(phase.cut + plan.DrainNs):
		}
	}
	phase.giveUp()
	phase.tallies = make([]Tally, len(phase.shared))
	for index := range phase.shared {
		phase.shared[index].lock.Lock()
		defer phase.shared[index].lock.Unlock()
		phase.tallies[index] = phase.shared[index].Tally
	}
	return phase, nil
}

func until(timeNs int64) <-chan time.Time {
	return time.After(time.Duration(timeNs - clock()))
}

// read reads the FIFO to its end.
func (phase *OpenPhase) read(from io.Reader, arrivals chan<- arrival) {
	defer close(arrivals)
	for {
		next, err := readArrival(from)
		if err != nil {
			return
		}
		phase.received.Add(1)
		arrivals <- next
	}
}

func (phase *OpenPhase) session(index int, session any, next arrival, operate func(any, uint64) error) {
	// The due time, which is never 0, stands for the operation in flight.
	phase.inFlight[index].Store(next.due)
	start := clock()
	if start >= phase.cut {
		phase.inFlight[index].Store(0)
		phase.leave(next.due)
		return
	}
	err := operate(session, next.op)
	end := clock()
	tally := &phase.shared[index%len(phase.shared)]
	tally.lock.Lock()
	defer tally.lock.Unlock()
	// It may have been given up.
	if !phase.inFlight[index].CompareAndSwap(next.due, 0) {
		return
	}
	phase.starts[index].CompareAndSwap(0, start)
	phase.ends[index].Store(end)
	tally.ended(start, end, err)
	tally.lag.record(start - next.due)
	if start-next.due > phase.plan.LateNs {
		tally.late++
	}
	if start < phase.end {
		tally.inTime++
	}
	if err == nil {
		tally.response.record(end - next.due)
	}
}

// leave is what becomes of an arrival that is not started any more.
func (phase *OpenPhase) leave(due int64) {
	phase.lock.Lock()
	defer phase.lock.Unlock()
	phase.unsent++
	phase.overdue.record(clock() - due)
}

// giveUp ends the phase. Operations that are still running do not count any more.
func (phase *OpenPhase) giveUp() {
	phase.lock.Lock()
	defer phase.lock.Unlock()
	for index := range phase.inFlight {
		if due := phase.inFlight[index].Swap(0); due != 0 {
			phase.unfinished++
			phase.overdue.record(clock() - due)
		}
	}
}

// complete adds the numbers of an open load to a measurement.
func (phase *OpenPhase) complete(measured map[string]any) map[string]any {
	if phase == nil {
		return measured
	}
	last, sessionNs := phase.end, int64(0)
	for index := range phase.ends {
		end := phase.ends[index].Load()
		sessionNs += end - phase.starts[index].Load()
		if end > last {
			last = end
		}
	}
	response, lag := newHistogram(), newHistogram()
	var late, inTime int64
	for index := range phase.shared {
		response.add(phase.shared[index].response)
		lag.add(phase.shared[index].lag)
		late += phase.shared[index].late
		inTime += phase.shared[index].inTime
	}
	elapsed := last - (phase.end - phase.plan.ScheduleNs)
	measured["elapsed_ns"] = elapsed
	measured["session_ns"] = sessionNs
	measured["throughput_ops_s"] = float64(phase.succeeded()) * 1e9 / float64(elapsed)
	measured["sessions_without_success"] = 0
	measured["open"] = map[string]any{
		"scheduled":       phase.received.Load(),
		"started_in_time": inTime,
		"late":            late,
		"unfinished":      phase.unfinished,
		"unsent":          phase.unsent,
		"response":        response.encoded(),
		"lag":             lag.encoded(),
		"overdue":         phase.overdue.encoded(),
	}
	return measured
}
