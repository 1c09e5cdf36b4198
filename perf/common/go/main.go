// The program of Go: goroutines, channels, sync. perf/run puts this file and every workload's go.go into one package;
// each workload puts itself on the list.
//
//	go_peer <workload> <workers> [key=value ...]
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var (
	workloads = map[string]func(){}
	workload  string
	workers   int
	given     = map[string]int{}
	used      strings.Builder
)

func refuse(why string) {
	fmt.Fprintln(os.Stderr, "go: "+why)
	os.Exit(2)
}

// size gives a size the workload needs; perf/<workload>/config.toml is where sizes are kept.
func size(key string) int {
	v, ok := given[key]
	if !ok {
		refuse(workload + " needs " + key + "=<number>")
	}
	fmt.Fprintf(&used, "%s=%d ", key, v)
	return v
}

func report(metric string, value float64, unit string, check interface{}) {
	fmt.Printf("peer=go workload=%s workers=%d %smetric=%s value=%.6g unit=%s check=%v\n",
		workload, workers, used.String(), metric, value, unit, check)
}

func expect(got, want uint64) {
	if got != want {
		fmt.Printf("peer=go workload=%s workers=%d check=FAIL got=%d want=%d\n", workload, workers, got, want)
		os.Exit(1)
	}
}

var base = time.Now()

func now() int64 { return int64(time.Since(base)) }

func spin(us int) {
	for end := now() + int64(us)*1000; now() < end; {
	}
}

// usage gives the CPU time so far and how often a thread of this process went to sleep.
func usage() (cpuMs, sleeps float64) {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	cpuMs = float64(u.Utime.Sec+u.Stime.Sec)*1e3 + float64(u.Utime.Usec+u.Stime.Usec)*1e-3
	return cpuMs, float64(u.Nvcsw)
}

func residentBytes() float64 {
	b, _ := os.ReadFile("/proc/self/statm")
	pages, _ := strconv.Atoi(strings.Fields(string(b))[1])
	return float64(pages) * float64(os.Getpagesize())
}

func xorshift(state *uint64) uint64 {
	x := *state
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*state = x
	return x
}

func sumBelow(n int) uint64 { return uint64(n) * uint64(n-1) / 2 }

func reportLatency(ns []int64) {
	sort.Slice(ns, func(i, j int) bool { return ns[i] < ns[j] })
	report("p50", float64(ns[len(ns)/2])/1e3, "us", "ok")
	report("p99", float64(ns[len(ns)*99/100])/1e3, "us", "ok")
}

func main() {
	if len(os.Args) < 3 {
		refuse("usage: workload workers [key=value ...]")
	}
	workload = os.Args[1]
	var err error
	if workers, err = strconv.Atoi(os.Args[2]); err != nil || workers < 1 {
		refuse(os.Args[2] + " is not a number of workers")
	}
	for _, argument := range os.Args[3:] {
		key, value, _ := strings.Cut(argument, "=")
		if given[key], err = strconv.Atoi(value); err != nil {
			refuse(argument + " is not key=number")
		}
	}
	runtime.GOMAXPROCS(workers)
	run, ok := workloads[workload]
	if !ok {
		fmt.Printf("peer=go workload=%s workers=%d check=unsupported\n", workload, workers)
		os.Exit(3)
	}
	run()
}
