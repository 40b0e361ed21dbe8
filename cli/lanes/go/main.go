// The lane `go`: a goroutine per session, with the standard library alone; and beside it `go-floor`, for its distance from that.
//
// HTTP is net/http with one client for all sessions, whose transport keeps as many connections as they have requests in flight;
// files are os. There is no driver for PostgreSQL and no client for WebSockets in the standard library.

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sort"
)

// Lane is a runtime of this program. The plan of a round names it.
type Lane struct {
	name, family, summary string
	workloads             starters
}

var standard = Lane{
	name:      "go",
	family:    "async",
	summary:   "Go: a goroutine per session (net/http, os; the standard library alone)",
	workloads: merged(taskWorkloads, httpWorkloads, siteWorkloads, fileWorkloads),
}

// laneOf is the lane of a round.
func laneOf(plan Plan) Lane {
	if plan.Runtime == floor.name {
		return floor
	}
	return standard
}

type starters map[string]func(*Round) Workload

func merged(groups ...starters) starters {
	all := starters{}
	for _, group := range groups {
		for name, start := range group {
			all[name] = start
		}
	}
	return all
}

func (lane Lane) described(cannot map[string]string) map[string]any {
	names := make([]string, 0, len(lane.workloads))
	for name := range lane.workloads {
		names = append(names, name)
	}
	sort.Strings(names)
	return map[string]any{
		"name":      lane.name,
		"family":    lane.family,
		"stack":     "Go",
		"summary":   lane.summary,
		"workloads": names,
		"cannot":    cannot,
		"open_load": true,
		"versions":  map[string]string{"go": runtime.Version()},
	}
}

func describe() map[string]any {
	cannot := map[string]string{}
	for _, database := range []string{"db-select", "db-crud", "db-pool", "db-connect", "db-transaction"} {
		cannot[database] = "the standard library of Go has no driver for PostgreSQL"
	}
	for _, sockets := range []string{"ws-echo", "ws-chat"} {
		cannot[sockets] = "the standard library of Go has no client for WebSockets"
	}
	lanes := []any{standard.described(cannot), floor.described(map[string]string{})}
	return map[string]any{"protocol": protocol, "lanes": lanes}
}

func main() {
	var reply map[string]any
	switch {
	case len(os.Args) == 2 && os.Args[1] == "describe":
		reply = describe()
	case len(os.Args) == 2 && os.Args[1] == "worker":
		var plan Plan
		if err := json.NewDecoder(bufio.NewReader(os.Stdin)).Decode(&plan); err != nil {
			fmt.Fprintln(os.Stderr, "the worker has no plan:", err)
			os.Exit(1)
		}
		reply = work(plan)
	default:
		fmt.Fprintf(os.Stderr, "usage: %s describe|worker\n", os.Args[0])
		os.Exit(2)
	}
	if err := json.NewEncoder(os.Stdout).Encode(reply); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
