package main

import "time"

func init() { workloads["latency"] = latency }

func latency() {
	n, gap := size("n"), size("gap_us")
	line, finished := make(chan int64), make(chan bool)
	late := make([]int64, 0, n)
	go func() {
		for sent := range line {
			late = append(late, now()-sent)
		}
		finished <- true
	}()
	time.Sleep(10 * time.Millisecond)
	for i := 0; i < n; i++ {
		spin(gap)
		line <- now()
	}
	close(line)
	<-finished
	expect(uint64(len(late)), uint64(n))
	reportLatency(late)
}
