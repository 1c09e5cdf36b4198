package main

import "time"

func init() { workloads["idle_cpu"] = idleCPU }

func idleCPU() {
	n, ms := size("n"), size("ms")
	release := park(n)
	cpuBefore, sleepsBefore := usage()
	time.Sleep(time.Duration(ms) * time.Millisecond)
	cpu, sleeps := usage()
	release()
	report("cpu", cpu-cpuBefore, "ms", "ok")
	report("wakeups", (sleeps-sleepsBefore)*1e3/float64(ms), "1/s", "ok")
}
