package main

import (
	"sync"
	"sync/atomic"
	"time"
)

// park makes n goroutines that all wait in a receive on one channel; release sends a 1 to each.
func park(n int) (release func()) {
	line := make(chan int)
	var all sync.WaitGroup
	var started, sum int64
	all.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			atomic.AddInt64(&started, 1)
			v := <-line
			atomic.AddInt64(&sum, int64(v))
			all.Done()
		}()
	}
	for atomic.LoadInt64(&started) != int64(n) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond)
	return func() {
		for i := 0; i < n; i++ {
			line <- 1
		}
		all.Wait()
		expect(uint64(sum), uint64(n))
	}
}
