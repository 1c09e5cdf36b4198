package main

import (
	"sync"
	"sync/atomic"
)

func init() { workloads["mpmc"] = mpmc }

func mpmc() {
	p, c, slots, n := size("p"), size("c"), size("cap"), size("n")
	line := make(chan int, slots)
	var producers, consumers sync.WaitGroup
	var total uint64

	begun := now()
	producers.Add(p)
	consumers.Add(c)
	for i := 0; i < p; i++ {
		first, end := n*i/p, n*(i+1)/p
		go func() {
			for v := first; v < end; v++ {
				line <- v
			}
			producers.Done()
		}()
	}
	for i := 0; i < c; i++ {
		go func() {
			var sum uint64
			for v := range line {
				sum += uint64(v)
			}
			atomic.AddUint64(&total, sum)
			consumers.Done()
		}()
	}
	producers.Wait()
	close(line)
	consumers.Wait()
	ns := now() - begun

	expect(total, sumBelow(n))
	report("time", float64(ns)/float64(n), "ns/message", total)
}
