// GETs by net/http for 0.3 s and then for SECONDS, one at a time on each of the sessions.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func cpu() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func main() {
	url := os.Args[1]
	sessions, _ := strconv.Atoi(os.Args[2])
	seconds, _ := strconv.ParseFloat(os.Args[3], 64)
	client := &http.Client{
		Transport: &http.Transport{MaxConnsPerHost: sessions, MaxIdleConnsPerHost: sessions, IdleConnTimeout: 90 * time.Second},
		Timeout:   10 * time.Second,
	}

	get := func() []byte {
		response, err := client.Get(url)
		if err != nil {
			panic(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != 200 {
			panic("no answer")
		}
		return body
	}
	expected := get()

	phase := func(length time.Duration) {
		spent, start := cpu(), time.Now()
		counts := make([]int, sessions)
		var all sync.WaitGroup
		for session := range counts {
			all.Add(1)
			go func(session int) {
				defer all.Done()
				for time.Since(start) < length {
					if !bytes.Equal(get(), expected) {
						panic("other content")
					}
					counts[session]++
				}
			}(session)
		}
		all.Wait()
		ops := 0
		for _, count := range counts {
			ops += count
		}
		elapsed := time.Since(start).Seconds()
		cpuPerOp := float64(cpu()-spent) / float64(ops)
		if length > 300*time.Millisecond {
			fmt.Printf("{\"operations\": %d, \"rate_hz\": %f, \"cpu_ns_per_op\": %f}\n", ops, float64(ops)/elapsed, cpuPerOp)
		}
	}
	phase(300 * time.Millisecond)
	phase(time.Duration(seconds * float64(time.Second)))
}
