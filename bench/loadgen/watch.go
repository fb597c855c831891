package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

type watchFlags struct {
	target, method, request, tokens, arrivals string
	url                                       string
	watchers, connections, opening            int
}

// watchReport answers each command; counts are of what came since the command before.
type watchReport struct {
	Event    string         `json:"event"`
	Open     int64          `json:"open"`
	Lowest   uint64         `json:"lowest_revision"`
	Messages int64          `json:"messages"`
	Bytes    int64          `json:"bytes"`
	Seconds  float64        `json:"seconds"`
	First    *latencies     `json:"first,omitempty"`
	FirstLen int            `json:"first_bytes,omitempty"`
	Ended    map[string]int `json:"ended,omitempty"`
}

// arrival is when one message came, in microseconds by the machine's clock.
type arrival struct {
	revision uint64
	time     int64
}

// record holds what came on one stream: the newest revision, and the arrivals that were to be kept.
type record struct {
	mutex    sync.Mutex
	arrivals []arrival
	revision atomic.Uint64
}

func (record *record) add(one arrival) {
	record.mutex.Lock()
	record.arrivals = append(record.arrivals, one)
	record.mutex.Unlock()
}

type watchRun struct {
	flags     watchFlags
	request   []byte
	contexts  []context.Context
	tokens    []string
	client    *http.Client
	open      atomic.Int64
	messages  atomic.Int64
	bytes     atomic.Int64
	recording atomic.Bool
	firstLen  atomic.Int64

	mutex   sync.Mutex
	first   []time.Duration
	ended   map[string]int
	records []*record
}

// runWatch opens streams and keeps them open. It says "ready" when each stream has had its first message. Then it
// obeys lines: "count" says what came, "record" and "stop" begin and end keeping arrivals, "quit" ends.
func runWatch(arguments []string) error {
	var given watchFlags
	flags := flag.NewFlagSet("watch", flag.ExitOnError)
	flags.StringVar(&given.target, "target", "", "host:port of the server")
	flags.StringVar(&given.method, "method", "", "/package.Service/Method, server-streaming")
	flags.StringVar(&given.url, "url", "", "a stream of newline-delimited JSON over HTTP, in the place of target and method")
	flags.StringVar(&given.request, "request", "", "file of the encoded request")
	flags.StringVar(&given.tokens, "tokens", "", "file of access tokens, one a line")
	flags.StringVar(&given.arrivals, "arrivals", "", "file that recorded arrivals go to: revision, microseconds")
	flags.IntVar(&given.watchers, "watchers", 1, "streams")
	flags.IntVar(&given.connections, "connections", 1, "connections that they share")
	flags.IntVar(&given.opening, "opening", 200, "streams being opened at once")
	_ = flags.Parse(arguments)

	tokens, err := readTokens(given.tokens)
	if err != nil {
		return err
	}
	if given.url != "" {
		run := &watchRun{flags: given, tokens: tokens, client: restClient(given.watchers), ended: map[string]int{}}
		return run.carryOut(nil)
	}
	request, err := os.ReadFile(given.request)
	if err != nil {
		return err
	}
	connections, err := connect(given.target, given.connections)
	if err != nil {
		return err
	}
	run := &watchRun{flags: given, request: request, contexts: contexts(tokens), ended: map[string]int{}}
	// A few at a time: a queue of waiting connections is short.
	for first := 0; first < len(connections); first += given.opening {
		if err := waitUntilReady(connections[first:min(first+given.opening, len(connections))]); err != nil {
			return err
		}
	}
	return run.carryOut(connections)
}

func (run *watchRun) carryOut(connections []*grpc.ClientConn) error {
	begin := time.Now()
	run.openAll(connections)
	if err := say(run.report("ready", time.Since(begin))); err != nil {
		return err
	}
	return run.obey()
}

// openAll opens every stream, a bounded number at a time, and returns when each has had its first message or failed.
func (run *watchRun) openAll(connections []*grpc.ClientConn) {
	places := make(chan struct{}, run.flags.opening)
	var waiting sync.WaitGroup
	for index := range run.flags.watchers {
		places <- struct{}{}
		waiting.Add(1)
		ready := sync.OnceFunc(func() { <-places; waiting.Done() })
		go func() {
			defer ready()
			var err error
			if run.client != nil {
				err = run.watchRest(index, ready)
			} else {
				err = run.watch(index, connections[index%len(connections)], ready)
			}
			run.open.Add(-1)
			run.mutex.Lock()
			run.ended[fmt.Sprintf("%s: %s", status.Code(err), status.Convert(err).Message())]++
			run.mutex.Unlock()
		}()
	}
	waiting.Wait()
}

func (run *watchRun) watch(index int, connection *grpc.ClientConn, ready func()) error {
	run.open.Add(1)
	begin := time.Now()
	ctx, cancel := context.WithCancel(run.contexts[index%len(run.contexts)])
	defer cancel()
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, run.flags.method)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(run.request); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	var message []byte
	if err := stream.RecvMsg(&message); err != nil {
		return err
	}
	record := run.begun(time.Since(begin), len(message))
	ready()
	for {
		if err := stream.RecvMsg(&message); err != nil {
			return err
		}
		run.heard(record, numberField(message, 1), len(message))
	}
}

// begun notes the first message of a stream.
func (run *watchRun) begun(took time.Duration, size int) *record {
	record := &record{}
	run.firstLen.Store(int64(size))
	run.mutex.Lock()
	run.first = append(run.first, took)
	run.records = append(run.records, record)
	run.mutex.Unlock()
	return record
}

// heard notes another one.
func (run *watchRun) heard(record *record, revision uint64, size int) {
	run.messages.Add(1)
	run.bytes.Add(int64(size))
	record.revision.Store(revision)
	if run.recording.Load() {
		record.add(arrival{revision, time.Now().UnixMicro()})
	}
}

func (run *watchRun) report(event string, took time.Duration) watchReport {
	run.mutex.Lock()
	defer run.mutex.Unlock()
	report := watchReport{
		Event: event, Open: run.open.Load(), Messages: run.messages.Swap(0), Bytes: run.bytes.Swap(0),
		Seconds: took.Seconds(), Ended: run.ended,
	}
	for index, record := range run.records {
		if revision := record.revision.Load(); index == 0 || revision < report.Lowest {
			report.Lowest = revision
		}
	}
	if event == "ready" {
		first := summarize(run.first)
		report.First, report.FirstLen = &first, int(run.firstLen.Load())
	}
	return report
}

func (run *watchRun) obey() error {
	since := time.Now()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		command := lines.Text()
		switch command {
		case "record":
			run.recording.Store(true)
		case "stop":
			run.recording.Store(false)
		case "quit":
			return run.saveArrivals()
		}
		if err := say(run.report(command, time.Since(since))); err != nil {
			return err
		}
		since = time.Now()
	}
	return nil
}

// saveArrivals writes pairs of 64-bit numbers, little endian, stream by stream; two zeros end each stream's.
func (run *watchRun) saveArrivals() error {
	if run.flags.arrivals == "" {
		return nil
	}
	file, err := os.Create(run.flags.arrivals)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	var pair [16]byte
	run.mutex.Lock()
	defer run.mutex.Unlock()
	for _, record := range run.records {
		record.mutex.Lock()
		arrivals := record.arrivals
		record.mutex.Unlock()
		for _, one := range append(arrivals, arrival{}) {
			binary.LittleEndian.PutUint64(pair[:8], one.revision)
			binary.LittleEndian.PutUint64(pair[8:], uint64(one.time))
			if _, err := out.Write(pair[:]); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}
