package main

func init() { workloads["actor_many_to_one"] = actorManyToOne }

func actorManyToOne() {
	type msg struct {
		kind, from int
		val        uint64
	}
	senders, per := size("senders"), size("per")
	box, fin := make(chan msg, 1024), make(chan uint64)
	total := senders * per
	t := now()
	go func() {
		var s uint64
		for i := 0; i < total; i++ {
			m := <-box
			s += m.val
		}
		fin <- s
	}()
	for k := 0; k < senders; k++ {
		k := k
		go func() {
			for i := 0; i < per; i++ {
				box <- msg{from: k, val: uint64(i)}
			}
		}()
	}
	r := <-fin
	d := now() - t
	expect(r, uint64(senders)*uint64(per)*uint64(per-1)/2)
	report("time", float64(d)/float64(total), "ns/message", r)
}
