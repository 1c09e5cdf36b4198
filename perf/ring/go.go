package main

func init() { workloads["ring"] = ring }

func ring() {
	tasks, hops := size("tasks"), size("hops")
	circle := make([]chan int, tasks)
	for i := range circle {
		circle[i] = make(chan int)
	}
	finished := make(chan int)

	begun := now()
	for i := range circle {
		in, out, me := circle[i], circle[(i+1)%tasks], i
		go func() {
			for left := range in {
				if left == 0 {
					finished <- me
					return
				}
				out <- left - 1
			}
		}()
	}
	circle[0] <- hops
	where := <-finished
	ns := now() - begun

	expect(uint64(where), uint64(hops%tasks))
	report("time", float64(ns)/float64(hops), "ns/hop", where)
}
