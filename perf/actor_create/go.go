package main

import (
	"sync"
	"sync/atomic"
)

func init() { workloads["actor_create"] = actorCreate }

func actorCreate() {
	type msg struct {
		kind, from int
		val        uint64
	}
	n := size("n")
	var sum int64
	var wg sync.WaitGroup
	wg.Add(n)
	t := now()
	for i := 0; i < n; i++ {
		box := make(chan msg, 1)
		go func() {
			m := <-box
			atomic.AddInt64(&sum, int64(m.val))
			wg.Done()
		}()
		box <- msg{val: uint64(i)}
	}
	wg.Wait()
	d := now() - t
	expect(uint64(sum), uint64(n)*uint64(n-1)/2)
	report("time", float64(d)/float64(n), "ns/actor", sum)
}
