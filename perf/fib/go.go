package main

import "sync"

func init() { workloads["fib"] = runFib }

func fib(n int) uint64 {
	if n < 2 {
		return uint64(n)
	}
	var a uint64
	var child sync.WaitGroup
	child.Add(1)
	go func() { a = fib(n - 1); child.Done() }()
	b := fib(n - 2)
	child.Wait()
	return a + b
}

func fibValue(n int) uint64 {
	a, b := uint64(0), uint64(1)
	for ; n > 0; n-- {
		a, b = b, a+b
	}
	return a
}

func runFib() {
	n := size("n")
	begun := now()
	result := fib(n)
	ns := now() - begun
	expect(result, fibValue(n))
	report("time", float64(ns)/float64(fibValue(n+1)-1), "ns/task", result)
}
