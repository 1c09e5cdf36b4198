package main

func init() { workloads["actor_ring"] = actorRing }

func actorRing() {
	tasks, hops := size("tasks"), size("hops")
	box := make([]chan int, tasks)
	for i := range box {
		box[i] = make(chan int, 16)
	}
	fin := make(chan int)
	t := now()
	for i := 0; i < tasks; i++ {
		in, out, id := box[i], box[(i+1)%tasks], i
		go func() {
			for v := range in {
				if v == 0 {
					fin <- id
					return
				}
				out <- v - 1
			}
		}()
	}
	box[0] <- hops
	r := <-fin
	d := now() - t
	expect(uint64(r), uint64(hops%tasks))
	report("time", float64(d)/float64(hops), "ns/hop", r)
}
