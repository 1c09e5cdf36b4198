package main

import "sync"

func init() { workloads["mutex"] = mutex }

func mutex() {
	tasks, n := size("tasks"), size("n")
	var guard sync.Mutex
	var all sync.WaitGroup
	counter := 0

	begun := now()
	all.Add(tasks)
	for i := 0; i < tasks; i++ {
		go func() {
			for k := 0; k < n/tasks; k++ {
				guard.Lock()
				counter++
				guard.Unlock()
			}
			all.Done()
		}()
	}
	all.Wait()
	ns := now() - begun

	expect(uint64(counter), uint64(n/tasks*tasks))
	report("time", float64(ns)/float64(counter), "ns/op", "ok")
}
