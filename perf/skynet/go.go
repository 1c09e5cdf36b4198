package main

func init() { workloads["skynet"] = skynet }

func skynetNode(out chan uint64, number, size uint64) {
	if size == 1 {
		out <- number
		return
	}
	in := make(chan uint64)
	part := size / 10
	for i := uint64(0); i < 10; i++ {
		go skynetNode(in, number+i*part, part)
	}
	var sum uint64
	for i := 0; i < 10; i++ {
		sum += <-in
	}
	out <- sum
}

func skynet() {
	n := size("n")
	begun := now()
	out := make(chan uint64)
	go skynetNode(out, 0, uint64(n))
	result := <-out
	ns := now() - begun
	expect(result, sumBelow(n))
	report("time", float64(ns)/1e6, "ms", result)
}
