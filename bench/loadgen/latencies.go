package main

import (
	"slices"
	"time"
)

// latencies are percentiles in milliseconds.
type latencies struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// summarize sorts its argument.
func summarize(times []time.Duration) latencies {
	if len(times) == 0 {
		return latencies{}
	}
	slices.Sort(times)
	at := func(share float64) float64 {
		return float64(times[min(len(times)-1, int(share*float64(len(times))))].Microseconds()) / 1000
	}
	return latencies{len(times), at(0.5), at(0.9), at(0.99), at(1)}
}
