// Workloads of tasks, queues, computations and child processes.

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// wait sleeps, and gives the time that it took.
func wait(length time.Duration) int64 {
	begun := clock()
	time.Sleep(length)
	return clock() - begun
}

type Null struct{ Common }

func (Null) Operate(any, uint64) error { return nil }

// Scripted is busy for a time that is drawn, then for a number of steps.
type Scripted struct {
	Common
	Times []struct {
		Share  float64 `json:"share"`
		TimeUs float64 `json:"time_us"`
	}
	Work  uint64
	Parts []any
}

func (scripted *Scripted) Prepare() error {
	if err := scripted.round.params(scripted); err != nil {
		return err
	}
	if len(scripted.Parts) > 0 {
		return Unsupported("this lane has no parts of operations")
	}
	return nil
}

func (scripted *Scripted) Operate(_ any, op uint64) error {
	uniform, sum := float64(draw(scripted.round.Seed, op)>>11)/(1<<53), 0.0
	for place, line := range scripted.Times {
		sum += line.Share
		if uniform < sum || place == len(scripted.Times)-1 {
			for due := clock() + int64(line.TimeUs*1e3); clock() < due; {
			}
			break
		}
	}
	state := op
	for step := uint64(0); step < scripted.Work; step++ {
		state *= golden
		state = state<<31 | state>>33
	}
	sink.Store(state)
	return nil
}

// sink keeps the compiler from leaving out a computation.
var sink atomic.Uint64

// Spawn starts a goroutine that does nothing, and joins it.
type Spawn struct{ Common }

func (Spawn) Operate(_ any, op uint64) error {
	result := make(chan uint64)
	go func() { result <- op }()
	return exactly(op, <-result, "as the result of a task")
}

// Waits are those of `tasks` and `as-completed`.
type Waits struct {
	Common
	Waits  []float64
	AtOnce *bool `json:"at_once"`

	lengths []time.Duration
	longest time.Duration
}

func (waits *Waits) Prepare() error {
	if err := waits.round.params(waits); err != nil {
		return err
	}
	for _, units := range waits.Waits {
		length := waits.round.inUnits(units)
		waits.lengths = append(waits.lengths, length)
		if length > waits.longest {
			waits.longest = length
		}
	}
	return nil
}

func (waits *Waits) wait(number int) error {
	return noShorter(waits.lengths[number], wait(waits.lengths[number]), "a wait")
}

type Tasks struct{ Waits }

func (tasks *Tasks) Operate(any, uint64) error {
	if tasks.AtOnce == nil || *tasks.AtOnce {
		return atOnce(len(tasks.lengths), tasks.wait)
	}
	for number := range tasks.lengths {
		if err := tasks.wait(number); err != nil {
			return err
		}
	}
	return nil
}

type AsCompleted struct{ Waits }

func (tasks *AsCompleted) Operate(any, uint64) error {
	type result struct {
		number int
		err    error
	}
	begun := clock()
	results := make(chan result)
	for number := range tasks.lengths {
		go func(number int) { results <- result{number, tasks.wait(number)} }(number)
	}
	var failed error
	var came, order []int
	for range tasks.lengths {
		result := <-results
		if failed == nil {
			failed = result.err
		}
		came = append(came, result.number)
		order = append(order, int(tasks.lengths[result.number]))
	}
	if failed != nil {
		return failed
	}
	if err := eachOnce(came, len(tasks.lengths), "result"); err != nil {
		return err
	}
	tasks.round.number("shortest_first", truth(isSorted(order)))
	return noShorter(tasks.longest, clock()-begun, "all tasks together")
}

type Timers struct {
	Common
	ShortestUs uint64 `json:"shortest_us"`
	LongestUs  uint64 `json:"longest_us"`
}

func (timers *Timers) Prepare() error { return timers.round.params(timers) }

func (timers *Timers) Operate(_ any, op uint64) error {
	drawn := drawBelow(timers.round.Seed, op, (timers.LongestUs-timers.ShortestUs)*1000+1)
	length := timers.ShortestUs*1000 + drawn
	due := clock() + int64(length)
	time.Sleep(time.Duration(length))
	late, err := checkDue(due)
	timers.round.observe("timer_overshoot", late)
	return err
}

// FirstCompleted is a race of two goroutines, of which the loser is told to end by its context.
type FirstCompleted struct {
	Common
	cancelled atomic.Int64
}

func (race *FirstCompleted) Operate(any, uint64) error {
	begun := clock()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	results := make(chan error)
	for number := 1; number <= 2; number++ {
		go func(number int) {
			timer := time.NewTimer(race.round.unit() * time.Duration(number))
			defer timer.Stop()
			select {
			case <-timer.C:
				results <- nil
			case <-ctx.Done():
				results <- ctx.Err()
			}
		}(number)
	}
	<-results
	if err := noShorter(race.round.unit(), clock()-begun, "the race"); err != nil {
		return err
	}
	cancel()
	// The loser may have been done at the same moment.
	cancelled := int64(0)
	if errors.Is(<-results, context.Canceled) {
		cancelled = 1
	}
	race.cancelled.Add(cancelled)
	race.round.number("losers_cancelled", float64(cancelled))
	return nil
}

func (race *FirstCompleted) Violations(totals *Totals) []string {
	if totals.succeeded < 10 || race.cancelled.Load() > 0 {
		return nil
	}
	return []string{fmt.Sprintf("in none of %d operations the loser was cancelled", totals.succeeded)}
}

// Failures are three goroutines, of which the middle one fails: with an error, or with a panic that it recovers from, as it would
// otherwise end the program.
type Failures struct {
	Common
	By string
}

const failedMessage = "task 1 failed on purpose"

func (failures *Failures) Prepare() error { return failures.round.params(failures) }

func (failures *Failures) work(number int) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("%v", panicked)
		}
	}()
	time.Sleep(failures.round.unit())
	if number != 1 {
		return nil
	}
	if failures.By == "panic" {
		panic(failedMessage)
	}
	return errors.New(failedMessage)
}

func (failures *Failures) Operate(any, uint64) error {
	begun := clock()
	errs := outcomes(3, failures.work)
	if errs[0] != nil || errs[1] == nil || errs[1].Error() != failedMessage || errs[2] != nil {
		return wrongContent("expected success, `%s` and success, got %v", failedMessage, errs)
	}
	return noShorter(failures.round.unit(), clock()-begun, "all tasks together")
}

// Counters tick three times, a unit apart, into one log.
type Counters struct{ Common }

type tick struct {
	counter, number int
	begun, written  int64
}

func (counters *Counters) Operate(any, uint64) error {
	var lock sync.Mutex
	var ticks []tick
	err := atOnce(3, func(counter int) error {
		begun := clock()
		for number := 1; number <= 3; number++ {
			time.Sleep(counters.round.unit())
			lock.Lock()
			written := clock()
			ticks = append(ticks, tick{counter, number, begun, written})
			lock.Unlock()
			begun = written
		}
		return nil
	})
	if err != nil {
		return err
	}
	return counters.check(ticks)
}

func (counters *Counters) check(ticks []tick) error {
	unit := counters.round.UnitNs
	var order []int
	perCounter := map[int][]int{}
	first, lastBegin := ticks[0].begun, ticks[0].begun
	for _, tick := range ticks {
		order = append(order, tick.number)
		perCounter[tick.counter] = append(perCounter[tick.counter], tick.number)
		if err := noShorter(counters.round.unit(), tick.written-tick.begun, "a tick"); err != nil {
			return err
		}
		if tick.number == 1 && tick.begun < first {
			first = tick.begun
		}
		if tick.number == 1 && tick.begun > lastBegin {
			lastBegin = tick.begun
		}
	}
	counters.round.number("interleaved", truth(isSorted(order)))
	all := map[int][]int{0: {1, 2, 3}, 1: {1, 2, 3}, 2: {1, 2, 3}}
	if err := exactly(all, perCounter, "as ticks"); err != nil {
		return err
	}
	// They must be in order if all had started before the first tick was due, and none was late by a unit.
	inTime := lastBegin < first+unit
	for _, tick := range ticks {
		inTime = inTime && tick.written < first+unit*int64(tick.number+1)
	}
	if inTime && !isSorted(order) {
		return wrongContent("the ticks of counters that ran at once were %v", order)
	}
	return nil
}

type Batch struct {
	Common
	Items, Size int
}

func (batch *Batch) Prepare() error { return batch.round.params(batch) }

func (batch *Batch) Operate(any, uint64) error {
	var running Peak
	var lock sync.Mutex
	var done []int
	for first := 0; first < batch.Items; first += batch.Size {
		size := batch.Size
		if first+size > batch.Items {
			size = batch.Items - first
		}
		begun := clock()
		atOnce(size, func(number int) error {
			running.add(1)
			defer running.add(-1)
			time.Sleep(batch.round.unit())
			lock.Lock()
			defer lock.Unlock()
			done = append(done, first+number)
			return nil
		})
		if err := exactly(0, running.now, "items in progress between two batches"); err != nil {
			return err
		}
		if err := exactly(first+size, len(done), "items done at the end of a batch"); err != nil {
			return err
		}
		if err := noShorter(batch.round.unit(), clock()-begun, "a batch"); err != nil {
			return err
		}
	}
	batch.round.number("items_at_once", float64(running.most))
	if err := eachOnce(done, batch.Items, "item"); err != nil {
		return err
	}
	return running.atMost(batch.Size, "items")
}

// JobQueue has producers and consumers around a channel with few places, and a semaphore around the work.
type JobQueue struct {
	Common
	Producers, Consumers, Capacity, Jobs, Limit int
	Work                                        float64
}

func (queue *JobQueue) Prepare() error { return queue.round.params(queue) }

func (queue *JobQueue) Operate(any, uint64) error {
	work := queue.round.inUnits(queue.Work)
	jobs := make(chan int, queue.Capacity)
	semaphore := make(chan struct{}, queue.Limit)
	var running, unfinished Peak
	var lock sync.Mutex
	var done []int
	begun := clock()

	produced := make(chan struct{})
	go func() {
		defer close(produced)
		atOnce(queue.Producers, func(producer int) error {
			for number := 0; number < queue.Jobs; number++ {
				before := clock()
				jobs <- producer*queue.Jobs + number
				unfinished.add(1)
				queue.round.observe("queue_send", clock()-before)
			}
			return nil
		})
		close(jobs)
	}()
	err := atOnce(queue.Consumers, func(int) (failed error) {
		for number := range jobs {
			semaphore <- struct{}{}
			running.add(1)
			if err := noShorter(work, wait(work), "a job"); err != nil {
				failed = err
			}
			running.add(-1)
			lock.Lock()
			done = append(done, number)
			lock.Unlock()
			unfinished.add(-1)
			<-semaphore
		}
		return failed
	})
	<-produced
	if err != nil {
		return err
	}
	return queue.check(done, &running, &unfinished, clock()-begun)
}

func (queue *JobQueue) check(done []int, running, unfinished *Peak, took int64) error {
	count := queue.Producers * queue.Jobs
	queue.round.number("jobs_at_once", float64(running.most))
	queue.round.number("jobs_taken_on", float64(unfinished.most))
	if err := eachOnce(done, count, "job"); err != nil {
		return err
	}
	if err := running.atMost(queue.Limit, "jobs"); err != nil {
		return err
	}
	// An unfinished job is in the channel or with a consumer: the others had to wait.
	if err := unfinished.atMost(queue.Capacity+queue.Consumers, "unfinished jobs"); err != nil {
		return err
	}
	turns := (count + queue.Limit - 1) / queue.Limit
	return noShorter(queue.round.inUnits(queue.Work)*time.Duration(turns), took, "all jobs together")
}

// CpuOffload has sums of squares on goroutines, while another one wants to be woken. There is nothing to offload to: the runtime
// takes a goroutine that computes for long off its thread.
type CpuOffload struct {
	Common
	Squares []uint64
	Repeats int
}

func (sums *CpuOffload) Prepare() error { return sums.round.params(sums) }

func sumOfSquares(count uint64, repeats int) (total uint64) {
	for time := 0; time < repeats; time++ {
		total = 0
		for number := uint64(0); number < count; number++ {
			total += number * number
		}
		sink.Store(total)
	}
	return total
}

func (sums *CpuOffload) Operate(any, uint64) error {
	bystander := Bystander{sums.round, clock(), time.Millisecond, 5}
	return atOnce(len(sums.Squares)+1, func(number int) error {
		if number == len(sums.Squares) {
			return bystander.standBy()
		}
		count := sums.Squares[number]
		expected := (count - 1) * count * (2*count - 1) / 6
		return exactly(expected, sumOfSquares(count, sums.Repeats), "as a sum")
	})
}

// BlockingMistake blocks the thread of a goroutine in a system call, which the runtime replaces by another thread; or sleeps.
type BlockingMistake struct {
	Common
	How string
}

func (mistake *BlockingMistake) Prepare() error { return mistake.round.params(mistake) }

func (mistake *BlockingMistake) Operate(any, uint64) error {
	start := clock()
	due := start + mistake.round.UnitNs
	bystander := Bystander{mistake.round, start, mistake.round.unit() / 10, 10}
	return atOnce(2, func(number int) error {
		if number == 1 {
			return bystander.standBy()
		}
		for left := due - clock(); left > 0; left = due - clock() {
			if mistake.How == "blocking" || mistake.How == "offloaded" {
				// A signal of the runtime's own may end it early.
				length := syscall.NsecToTimespec(left)
				syscall.Nanosleep(&length, nil)
			} else {
				time.Sleep(time.Duration(left))
			}
		}
		_, err := checkDue(due)
		return err
	})
}

// ForgottenAwait has goroutines that nobody waits for, and such that are waited for.
type ForgottenAwait struct {
	Common
	Parts    int
	Handling string

	running sync.WaitGroup
	done    atomic.Int64
}

func (parts *ForgottenAwait) Prepare() error {
	if err := parts.round.params(parts); err != nil {
		return err
	}
	if parts.Handling == "forgotten" {
		return Unsupported("a goroutine runs from its go statement on; `forgotten-join` measures what nobody waits for")
	}
	return nil
}

func (parts *ForgottenAwait) Operate(any, uint64) error {
	var own atomic.Int64
	var joined sync.WaitGroup
	for part := 0; part < parts.Parts; part++ {
		joined.Add(1)
		parts.running.Add(1)
		go func() {
			defer parts.running.Done()
			defer joined.Done()
			own.Add(1)
			parts.done.Add(1)
		}()
	}
	if parts.Handling == "joined" {
		joined.Wait()
		if err := exactly(int64(parts.Parts), own.Load(), "parts done"); err != nil {
			return err
		}
	}
	parts.round.number("done_when_ended_share", float64(own.Load())/float64(parts.Parts))
	return nil
}

func (parts *ForgottenAwait) Violations(totals *Totals) []string {
	parts.running.Wait()
	expected := (totals.succeeded + totals.failed) * int64(parts.Parts)
	if parts.done.Load() == expected {
		return nil
	}
	return []string{fmt.Sprintf("expected %d parts done at the end, got %d", expected, parts.done.Load())}
}

// Process has two children: one that ends by itself, and one that would live for an hour.
type Process struct {
	Common
	Deadline float64
}

func (process *Process) Prepare() error { return process.round.params(process) }

func (process *Process) Operate(_ any, op uint64) error {
	return atOnce(2, func(number int) error {
		if number == 0 {
			return process.talk(op)
		}
		return process.kill()
	})
}

func (process *Process) talk(op uint64) error {
	child := exec.Command("/bin/sh", "-c", `echo "operation $0"; exit 7`, fmt.Sprint(op))
	said, err := child.Output()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return err
	}
	if err := exactly(fmt.Sprintf("operation %d\n", op), string(said), "from the child"); err != nil {
		return err
	}
	if err := exactly(7, child.ProcessState.ExitCode(), "as the child's exit status"); err != nil {
		return err
	}
	return checkGone(child.Process.Pid)
}

func (process *Process) kill() error {
	deadline := process.round.inUnits(process.Deadline)
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	begun := clock()
	// It is killed at the end of its context.
	child := exec.CommandContext(ctx, "sleep", "3600")
	if err := child.Run(); child.ProcessState == nil {
		return err
	}
	if err := noShorter(deadline, clock()-begun, "the life of a child to be killed"); err != nil {
		return err
	}
	status := child.ProcessState.Sys().(syscall.WaitStatus)
	if err := exactly(syscall.SIGKILL, status.Signal(), "as the end of a killed child"); err != nil {
		return err
	}
	return checkGone(child.Process.Pid)
}

// checkGone is an error if the child was not waited for: the system would still know it.
func checkGone(pid int) error {
	if _, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); errors.Is(err, syscall.ECHILD) {
		return nil
	}
	return wrongContent("the child %d was left behind", pid)
}

var taskWorkloads = starters{
	"null":             func(round *Round) Workload { return &Null{Common{round}} },
	"scripted":         func(round *Round) Workload { return &Scripted{Common: Common{round}} },
	"spawn":            func(round *Round) Workload { return &Spawn{Common{round}} },
	"tasks":            func(round *Round) Workload { return &Tasks{Waits{Common: Common{round}}} },
	"timers":           func(round *Round) Workload { return &Timers{Common: Common{round}} },
	"as-completed":     func(round *Round) Workload { return &AsCompleted{Waits{Common: Common{round}}} },
	"first-completed":  func(round *Round) Workload { return &FirstCompleted{Common: Common{round}} },
	"failures":         func(round *Round) Workload { return &Failures{Common: Common{round}} },
	"counters":         func(round *Round) Workload { return &Counters{Common{round}} },
	"batch":            func(round *Round) Workload { return &Batch{Common: Common{round}} },
	"job-queue":        func(round *Round) Workload { return &JobQueue{Common: Common{round}} },
	"cpu-offload":      func(round *Round) Workload { return &CpuOffload{Common: Common{round}} },
	"blocking-mistake": func(round *Round) Workload { return &BlockingMistake{Common: Common{round}} },
	"forgotten-await":  func(round *Round) Workload { return &ForgottenAwait{Common: Common{round}} },
	"process":          func(round *Round) Workload { return &Process{Common: Common{round}} },
}
