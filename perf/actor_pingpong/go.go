package main

func init() { workloads["actor_pingpong"] = actorPingpong }

func actorPingpong() {
	type msg struct {
		kind, from int
		val        uint64
	}
	n := size("n")
	a, b, fin := make(chan msg, 128), make(chan msg, 128), make(chan uint64)
	t := now()
	go func() {
		for m := range b {
			a <- msg{val: m.val + 1}
		}
	}()
	go func() {
		b <- msg{}
		for m := range a {
			if m.val == uint64(n) {
				close(b)
				fin <- m.val
				return
			}
			b <- m
		}
	}()
	r := <-fin
	d := now() - t
	expect(r, uint64(n))
	report("time", float64(d)/float64(n), "ns/roundtrip", r)
}
