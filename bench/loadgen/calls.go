package main

import (
	"context"
	"flag"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type callFlags struct {
	target, steps, chains, tokens string
	callers, connections          int
	seconds, timeout, pause       time.Duration
	retries                       int
	rate                          float64
}

// callReport is what is printed at the end. A chain counts if its last call was answered OK; Calls are all calls,
// refused ones too.
type callReport struct {
	Chains   int            `json:"chains"`
	Seconds  float64        `json:"seconds"`
	Answers  map[string]int `json:"answers"`
	Retries  int            `json:"retries"`
	Sent     int            `json:"bytes_sent"`
	Received int            `json:"bytes_received"`
	Calls    latencies      `json:"calls"`
	Chain    latencies      `json:"chain"`
	Steps    []latencies    `json:"steps"`
}

func runCalls(arguments []string) error {
	var given callFlags
	flags := flag.NewFlagSet("calls", flag.ExitOnError)
	flags.StringVar(&given.target, "target", "", "host:port of the server")
	flags.StringVar(&given.steps, "steps", "", "what a chain calls, by blanks; see steps.go")
	flags.StringVar(&given.chains, "chains", "", "file of encoded chains; see steps.go")
	flags.StringVar(&given.tokens, "tokens", "", "file of access tokens, one a line; empty: none are sent")
	flags.IntVar(&given.callers, "callers", 128, "chains under way at once")
	flags.IntVar(&given.connections, "connections", 4, "connections that they share")
	flags.DurationVar(&given.seconds, "for", 0, "begin chains for so long, over and over; 0: each chain once")
	flags.DurationVar(&given.timeout, "timeout", 30*time.Second, "deadline of each call")
	flags.DurationVar(&given.pause, "pause", 20*time.Millisecond, "between two calls of a step that is repeated")
	flags.Float64Var(&given.rate, "rate", 0, "chains begun per second; 0: as many as the callers manage")
	flags.IntVar(&given.retries, "retries", 0, "tries more after UNAVAILABLE, RESOURCE_EXHAUSTED or ABORTED")
	_ = flags.Parse(arguments)

	steps, err := parseSteps(given.steps)
	if err != nil {
		return err
	}
	chains, err := readChains(given.chains, len(steps))
	if err != nil {
		return err
	}
	tokens, err := readTokens(given.tokens)
	if err != nil {
		return err
	}
	connections, err := connect(given.target, given.connections)
	if err != nil {
		return err
	}
	run := &callRun{flags: given, steps: steps, chains: chains, contexts: contexts(tokens)}
	if err := waitUntilReady(connections); err != nil {
		return err
	}
	return say(run.carryOut(connections))
}

// contexts holds what is sent beside each request, made once per token.
func contexts(tokens []string) []context.Context {
	if len(tokens) == 0 {
		return []context.Context{context.Background()}
	}
	all := make([]context.Context, len(tokens))
	for index, token := range tokens {
		all[index] = metadata.NewOutgoingContext(
			context.Background(), metadata.Pairs("authorization", "Bearer "+token))
	}
	return all
}

type callRun struct {
	flags    callFlags
	steps    []step
	chains   []chain
	contexts []context.Context
	next     atomic.Int64
	begin    time.Time
}

// caller is what one goroutine saw.
type caller struct {
	done, sent, received, retries int
	answers                       map[codes.Code]int
	calls, chain                  []time.Duration
	steps                         [][]time.Duration
}

func (run *callRun) carryOut(connections []*grpc.ClientConn) callReport {
	callers := make([]*caller, run.flags.callers)
	var group sync.WaitGroup
	run.begin = time.Now()
	for index := range callers {
		one := &caller{answers: map[codes.Code]int{}, steps: make([][]time.Duration, len(run.steps))}
		callers[index] = one
		group.Go(func() { run.call(one, connections[index%len(connections)]) })
	}
	group.Wait()
	return run.report(callers, time.Since(run.begin))
}

// call carries out chains until there are none or the time is up.
func (run *callRun) call(one *caller, connection *grpc.ClientConn) {
	for {
		number := int(run.next.Add(1) - 1)
		if run.flags.seconds > 0 {
			if time.Since(run.begin) >= run.flags.seconds {
				return
			}
		} else if number >= len(run.chains) {
			return
		}
		if run.flags.rate > 0 {
			due := time.Duration(float64(number) / run.flags.rate * float64(time.Second))
			if run.flags.seconds > 0 && due >= run.flags.seconds {
				return
			}
			time.Sleep(due - time.Since(run.begin))
		}
		number %= len(run.chains)
		run.carryOutChain(one, connection, &run.chains[number])
	}
}

func (run *callRun) carryOutChain(one *caller, connection *grpc.ClientConn, chain *chain) {
	begin := time.Now()
	answers := make([][]byte, len(run.steps))
	for index := 0; index < len(run.steps); index++ {
		step := run.steps[index]
		request := chain.requests[index]
		if step.nameOf >= 0 {
			request = named(stringField(answers[step.nameOf], 1), request)
		}
		stepBegin := time.Now()
		for {
			answer, code := run.answer(one, connection, step.method, chain.token, request)
			if step.hasFallback && code == codes.FailedPrecondition {
				break
			}
			if code != codes.OK {
				return
			}
			if step.untilField == 0 || numberField(answer, step.untilField) == step.untilValue {
				answers[index] = append([]byte{}, answer...)
				break
			}
			if time.Since(stepBegin) > run.flags.timeout {
				one.answers[codes.DeadlineExceeded]++
				return
			}
			time.Sleep(run.flags.pause)
		}
		if answers[index] == nil {
			continue
		}
		one.steps[index] = append(one.steps[index], time.Since(stepBegin))
		if step.hasFallback {
			answers[index+1] = answers[index]
			index++
		}
	}
	one.chain = append(one.chain, time.Since(begin))
	one.done++
}

// answer makes one call, again if the server asks for that and the flags allow it.
func (run *callRun) answer(
	one *caller, connection *grpc.ClientConn, method string, token uint64, request []byte,
) ([]byte, codes.Code) {
	for attempt := 0; ; attempt++ {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(run.contexts[token%uint64(len(run.contexts))], run.flags.timeout)
		var answer []byte
		err := connection.Invoke(ctx, method, request, &answer)
		cancel()
		one.calls = append(one.calls, time.Since(begin))
		code := status.Code(err)
		one.answers[code]++
		one.sent += len(request)
		one.received += len(answer)
		again := code == codes.Unavailable || code == codes.ResourceExhausted || code == codes.Aborted
		if !again || attempt >= run.flags.retries {
			return answer, code
		}
		one.retries++
		time.Sleep(pauseBefore(attempt, err))
	}
}

// pauseBefore is how long to wait before trying again: what the server asks for, or longer each time, with jitter.
func pauseBefore(attempt int, err error) time.Duration {
	pause := 25 * time.Millisecond << min(attempt, 6)
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			pause = max(pause, info.GetRetryDelay().AsDuration())
		}
	}
	return pause/2 + rand.N(pause)
}

func (run *callRun) report(callers []*caller, took time.Duration) callReport {
	report := callReport{Seconds: took.Seconds(), Answers: map[string]int{}}
	var calls, whole []time.Duration
	steps := make([][]time.Duration, len(run.steps))
	for _, one := range callers {
		report.Chains += one.done
		report.Sent += one.sent
		report.Received += one.received
		report.Retries += one.retries
		for code, count := range one.answers {
			report.Answers[code.String()] += count
		}
		calls = append(calls, one.calls...)
		whole = append(whole, one.chain...)
		for index := range steps {
			steps[index] = append(steps[index], one.steps[index]...)
		}
	}
	report.Calls = summarize(calls)
	report.Chain = summarize(whole)
	for _, one := range steps {
		report.Steps = append(report.Steps, summarize(one))
	}
	return report
}
