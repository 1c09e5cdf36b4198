package main

import (
	"sync"
	"sync/atomic"
	"time"
)

func init() { workloads["sleep"] = sleepMany }

func sleepMany() {
	n := size("n")
	var count int64
	var all sync.WaitGroup
	state := uint64(42)

	cpuBefore, _ := usage()
	begun := now()
	all.Add(n)
	for i := 0; i < n; i++ {
		ms := xorshift(&state) % 1001
		go func() {
			time.Sleep(time.Duration(ms) * time.Millisecond)
			atomic.AddInt64(&count, 1)
			all.Done()
		}()
	}
	all.Wait()
	ns := now() - begun
	cpu, _ := usage()

	expect(uint64(count), uint64(n))
	report("over_ideal", float64(ns)/1e6-1000, "ms", "ok")
	report("cpu", (cpu-cpuBefore)/1e3, "s", "ok")
}
