package main

func init() { workloads["actor_counting"] = actorCounting }

func actorCounting() {
	type msg struct {
		kind, from int
		val        uint64
	}
	n := size("n")
	box, fin := make(chan msg, 1024), make(chan uint64)
	t := now()
	go func() {
		var c uint64
		for m := range box {
			if m.kind == 1 {
				fin <- c
				return
			}
			c += m.val
		}
	}()
	go func() {
		for i := 0; i < n; i++ {
			box <- msg{val: 1}
		}
		box <- msg{kind: 1}
	}()
	r := <-fin
	d := now() - t
	expect(r, uint64(n))
	report("time", float64(d)/float64(n), "ns/message", r)
}
