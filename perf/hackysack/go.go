package main

import "sync"

func init() { workloads["hackysack"] = hackysack }

type ball struct{ state, kicks, sum uint64 }

func makeBall(index, kicks int) ball {
	return ball{uint64(index+1) * 0x9E3779B97F4A7C15, uint64(kicks), 0}
}

func (b *ball) kick(me, players uint64) uint64 {
	to := xorshift(&b.state) % (players - 1)
	if to >= me {
		to++
	}
	b.sum += to
	b.kicks--
	return to
}

// Players have an inbox without slots for one ball, with 16 for several, which would deadlock otherwise.
func hackysack() {
	circles, players, balls, kicks := size("C"), size("P"), size("B"), size("K")
	slots := 0
	if balls > 1 {
		slots = 16
	}
	finished := make(chan uint64, 16)
	var all sync.WaitGroup
	inbox := make([][]chan ball, circles)
	for c := range inbox {
		circle := make([]chan ball, players)
		for i := range circle {
			circle[i] = make(chan ball, slots)
		}
		inbox[c] = circle
		for i := range circle {
			me, in := uint64(i), circle[i]
			all.Add(1)
			go func() {
				for b := range in {
					if b.kicks == 0 {
						finished <- b.sum
						continue
					}
					to := b.kick(me, uint64(players))
					circle[to] <- b
				}
				all.Done()
			}()
		}
	}

	begun := now()
	go func() {
		for x := 0; x < circles*balls; x++ {
			inbox[x/balls][x%balls%players] <- makeBall(x, kicks/balls)
		}
	}()
	var total uint64
	for x := 0; x < circles*balls; x++ {
		total += <-finished
	}
	ns := now() - begun

	for _, circle := range inbox {
		for _, in := range circle {
			close(in)
		}
	}
	all.Wait()
	var want uint64
	for x := 0; x < circles*balls; x++ {
		b, at := makeBall(x, kicks/balls), uint64(x%balls%players)
		for b.kicks > 0 {
			at = b.kick(at, uint64(players))
		}
		want += b.sum
	}
	expect(total, want)
	report("rate", float64(circles*(kicks/balls*balls))/(float64(ns)/1e9), "kicks/s", total)
}
