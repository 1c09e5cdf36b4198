package main

func init() { workloads["parked_memory"] = parkedMemory }

func parkedMemory() {
	n := size("n")
	before := residentBytes()
	release := park(n)
	after := residentBytes()
	release()
	report("rss", (after-before)/float64(n), "bytes/task", "ok")
}
