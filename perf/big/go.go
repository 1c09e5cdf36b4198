package main

import (
	"sync"
	"sync/atomic"
)

func init() { workloads["big"] = big }

func big() {
	type msg struct {
		kind, from int
		val        uint64
	}
	actors, pings := size("actors"), size("pings")
	const ping, pong, exit = 0, 1, 2
	box := make([]chan msg, actors)
	for i := range box {
		box[i] = make(chan msg, actors+8) // each actor has one ping in flight: cannot fill up
	}
	var served int64
	var all sync.WaitGroup
	var finished sync.WaitGroup
	finished.Add(actors)
	all.Add(actors)
	t := now()
	for i := 0; i < actors; i++ {
		i := i
		go func() {
			rng, left, seen := uint64(i+1), pings, 0
			next := func() {
				j := int(xorshift(&rng) % uint64(actors-1))
				if j >= i {
					j++
				}
				box[j] <- msg{kind: ping, from: i}
			}
			next()
			for m := range box[i] {
				if m.kind == ping {
					seen++
					box[m.from] <- msg{kind: pong}
				} else if m.kind == pong {
					if left--; left == 0 {
						finished.Done()
					} else {
						next()
					}
				} else {
					break
				}
			}
			atomic.AddInt64(&served, int64(seen))
			all.Done()
		}()
	}
	finished.Wait()
	for i := range box {
		box[i] <- msg{kind: exit}
	}
	all.Wait()
	d := now() - t
	expect(uint64(served), uint64(actors*pings))
	report("time", float64(d)/float64(2*actors*pings), "ns/message", served)
}
