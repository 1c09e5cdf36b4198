package main

func init() { workloads["pingpong"] = pingpong }

func pingpong() {
	n := size("n")
	there, back, finished := make(chan uint64), make(chan uint64), make(chan uint64)

	begun := now()
	go func() {
		for v := range there {
			back <- v + 1
		}
	}()
	go func() {
		var v uint64
		for i := 0; i < n; i++ {
			there <- v
			v = <-back
		}
		close(there)
		finished <- v
	}()
	last := <-finished
	ns := now() - begun

	expect(last, uint64(n))
	report("time", float64(ns)/float64(n), "ns/roundtrip", last)
}
