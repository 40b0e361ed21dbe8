// The lane `go`: a goroutine per session, with the standard library alone.
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

const name = "go"

var workloads = merged(taskWorkloads, httpWorkloads, siteWorkloads, fileWorkloads)

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

func describe() map[string]any {
	names := make([]string, 0, len(workloads))
	for name := range workloads {
		names = append(names, name)
	}
	sort.Strings(names)
	cannot := map[string]string{}
	for _, database := range []string{"db-select", "db-crud", "db-pool", "db-connect", "db-transaction"} {
		cannot[database] = "the standard library of Go has no driver for PostgreSQL"
	}
	for _, sockets := range []string{"ws-echo", "ws-chat"} {
		cannot[sockets] = "the standard library of Go has no client for WebSockets"
	}
	lane := map[string]any{
		"name":      name,
		"family":    "async",
		"stack":     "Go",
		"summary":   "Go: a goroutine per session (net/http, os; the standard library alone)",
		"workloads": names,
		"cannot":    cannot,
		"open_load": true,
		"versions":  map[string]string{"go": runtime.Version()},
	}
	return map[string]any{"protocol": protocol, "lanes": []any{lane}}
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
