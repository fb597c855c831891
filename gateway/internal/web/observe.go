package web

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rowlock/rowlock/gateway/internal/rest"
	"google.golang.org/grpc/grpclog"
)

// What is counted, by RPC: `none` where a request led to none, and the name of what it asked for where that is no RPC.
var (
	requests = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "rowlock_gateway_requests_total", Help: "Requests that were answered, by RPC and HTTP status.",
	}, []string{"rpc", "status"})
	durations = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "rowlock_gateway_request_seconds", Help: "How long answers took that are no streams.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20},
	}, []string{"rpc"})
	streamsOpen = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "rowlock_gateway_open_requests", Help: "Requests under way, streams included.",
	})
	sent = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "rowlock_gateway_sent_bytes_total", Help: "Bytes of answers, before compression.",
	}, []string{"rpc"})
)

// ConfigureLog has this process write its log as Rowlock's other programs do.
func ConfigureLog(level slog.Level, asJSON bool) {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.TimeKey:
			return slog.String(slog.TimeKey, a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z"))
		case slog.LevelKey:
			return slog.String("level", strings.ToLower(a.Value.String()))
		case slog.MessageKey:
			return slog.String("event", a.Value.String())
		}
		return a
	}}
	var handler slog.Handler = slog.NewTextHandler(os.Stdout, options)
	if asJSON {
		handler = slog.NewJSONHandler(os.Stdout, options)
	}
	slog.SetDefault(slog.New(handler))
	// What gRPC's libraries have to say is of callers who went away and servers that are not there: others tell of that.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, libraries{}))
}

// libraries takes a line that a library would write.
type libraries struct{}

func (libraries) Write(line []byte) (int, error) {
	slog.Debug("library", "text", strings.TrimSpace(string(line)))
	return len(line), nil
}

// observed writes one line for each request when it is over, and counts it. Names and bodies are not in it, and of the
// address no more than whom the connection comes from.
func observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, facts := rest.WithFacts(r.Context())
		answer := &counted{ResponseWriter: w}
		begin := time.Now()
		streamsOpen.Inc()
		defer func() {
			streamsOpen.Dec()
			note(r, facts, answer, time.Since(begin))
		}()
		next.ServeHTTP(answer, r.WithContext(ctx))
	})
}

func note(r *http.Request, facts *rest.Facts, answer *counted, took time.Duration) {
	code := answer.code
	if code == 0 {
		code = http.StatusOK
	}
	what := facts.RPC
	if what == "" {
		what = place(r.URL.Path)
	}
	facts.EndSpan(code)
	requests.WithLabelValues(what, strconv.Itoa(code)).Inc()
	sent.WithLabelValues(what).Add(float64(answer.bytes))
	if !facts.Streams {
		durations.WithLabelValues(what).Observe(took.Seconds())
	}
	level := slog.LevelInfo
	switch {
	case what == "health":
		level = slog.LevelDebug
	case code == http.StatusInternalServerError:
		level = slog.LevelError
	case code > http.StatusInternalServerError && code != http.StatusNotImplemented:
		level = slog.LevelWarn
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	slog.LogAttrs(
		context.Background(), level, "http",
		slog.String("method", r.Method), slog.String("rpc", what), slog.Int("status", code),
		slog.String("reason", facts.Reason), slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.Int64("bytes", answer.bytes), slog.String("address", host), slog.String("trace_id", facts.TraceID),
	)
}

// place is what a path that is no RPC's belongs to.
func place(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch first {
	case "docs", "kiosk", "openapi.json":
		return first
	case "healthz", "readyz":
		return "health"
	}
	return "none"
}

// counted remembers the status of an answer and counts its bytes.
type counted struct {
	http.ResponseWriter
	code  int
	bytes int64
}

func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *counted) WriteHeader(code int) {
	if c.code == 0 && code >= http.StatusOK {
		c.code = code
	}
	c.ResponseWriter.WriteHeader(code)
}

func (c *counted) Write(data []byte) (int, error) {
	written, err := c.ResponseWriter.Write(data)
	c.bytes += int64(written)
	return written, err
}

func (c *counted) Flush() { _ = c.FlushError() }

func (c *counted) FlushError() error { return http.NewResponseController(c.ResponseWriter).Flush() }

// serveMetrics serves them on an address of their own, which is not for the public; nowhere if it is empty.
func serveMetrics(address string) (*http.Server, error) {
	server := &http.Server{Handler: promhttp.Handler(), ReadHeaderTimeout: headerTime}
	if address == "" {
		return server, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	go func() { _ = server.Serve(listener) }()
	return server, nil
}
