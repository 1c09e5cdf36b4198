package main

import "sync"

func init() { workloads["spawn_join"] = spawnJoin }

func spawnJoin() {
	n := size("n")
	done := make([]byte, n)

	begun := now()
	var all sync.WaitGroup
	all.Add(n)
	for i := 0; i < n; i++ {
		i := i
		go func() { done[i] = 1; all.Done() }()
	}
	all.Wait()
	ns := now() - begun

	var sum uint64
	for _, b := range done {
		sum += uint64(b)
	}
	expect(sum, uint64(n))
	report("time", float64(ns)/float64(n), "ns/task", "ok")
}
