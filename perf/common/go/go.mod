module rondo/perf

go 1.19
