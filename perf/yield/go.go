package main

import (
	"runtime"
	"sync"
	"sync/atomic"
)

func init() { workloads["yield"] = yield }

func yield() {
	tasks, n := size("tasks"), size("n")
	var total int64
	var all sync.WaitGroup

	begun := now()
	all.Add(tasks)
	for i := 0; i < tasks; i++ {
		go func() {
			k := 0
			for ; k < n; k++ {
				runtime.Gosched()
			}
			atomic.AddInt64(&total, int64(k))
			all.Done()
		}()
	}
	all.Wait()
	ns := now() - begun

	expect(uint64(total), uint64(tasks*n))
	report("time", float64(ns)/float64(tasks*n), "ns/yield", "ok")
}
