package main

func init() { workloads["select"] = selectFour }

func selectFour() {
	n := size("n")
	var lines [4]chan int

	begun := now()
	for i := range lines {
		lines[i] = make(chan int)
		line, first, end := lines[i], n*i/4, n*(i+1)/4
		go func() {
			for v := first; v < end; v++ {
				line <- v
			}
		}()
	}
	finished := make(chan uint64)
	go func() {
		var sum uint64
		for i := 0; i < n; i++ {
			select {
			case v := <-lines[0]:
				sum += uint64(v)
			case v := <-lines[1]:
				sum += uint64(v)
			case v := <-lines[2]:
				sum += uint64(v)
			case v := <-lines[3]:
				sum += uint64(v)
			}
		}
		finished <- sum
	}()
	total := <-finished
	ns := now() - begun

	expect(total, sumBelow(n))
	report("time", float64(ns)/float64(n), "ns/message", total)
}
