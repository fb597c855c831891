package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/rowlock/rowlock/gateway/internal/rest"
	rowlock "github.com/rowlock/rowlock/gen/go/rowlock/v1"
	"github.com/rowlock/rowlock/gen/openapi"
	"github.com/rs/cors"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

const (
	headerTime  = 10 * time.Second
	idleTime    = 2 * time.Minute
	largestHead = 16 << 10
	// How long a balancer may take to see that this process is no longer ready, of a drain that takes longer.
	turnAway = time.Second
	// Streams end within this time, so that those who watch come back one after another.
	longestSpread = 5 * time.Second
)

// What is sent smaller to those who can read that; streams are not, since each message has to be there at once.
var compressed = []string{"application/json", "text/csv", "text/html", "text/css", "text/javascript"}

// Serve answers until ctx ends, and then lets what is under way end, within the drain time. `started` gets the address.
func Serve(ctx context.Context, s *Settings, started func(net.Addr)) error {
	toServers, err := towardServers(s)
	if err != nil {
		return err
	}
	toCallers, err := towardCallers(s)
	if err != nil {
		return err
	}
	streams := rest.NewStreams(min(s.DrainTime/2, longestSpread))
	connection, err := rest.Connect(s.Servers, toServers, s.CallTimeout, streams)
	if err != nil {
		return fmt.Errorf("-servers: %w", err)
	}
	defer connection.Close()
	// All requests live by this context: those that are left are ended when the drain time is over, and not before.
	everything, endAll := context.WithCancel(context.Background())
	defer endAll()
	var stopping atomic.Bool
	tracer, endTracing, err := startTracing(s)
	if err != nil {
		return err
	}
	routes, err := handler(everything, s, connection, tracer, stopping.Load)
	if err != nil {
		return err
	}
	defer endTracing()
	metrics, err := serveMetrics(s.MetricsAddress)
	if err != nil {
		return fmt.Errorf("-metrics-address: %w", err)
	}
	defer metrics.Close()
	server := &http.Server{
		Handler:           routes,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    largestHead,
		TLSConfig:         toCallers,
		BaseContext:       func(net.Listener) context.Context { return everything },
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	listener, err := net.Listen("tcp", s.Address)
	if err != nil {
		return fmt.Errorf("-address: %w", err)
	}
	served := make(chan error, 1)
	go func() {
		if toCallers != nil {
			served <- server.ServeTLS(listener, "", "")
		} else {
			served <- server.Serve(listener)
		}
	}()
	started(listener.Addr())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stopping.Store(true)
	slog.Info("draining", "seconds", s.DrainTime.Seconds())
	time.Sleep(min(turnAway, s.DrainTime/2))
	streams.End()
	limit, cancel := context.WithTimeout(context.Background(), s.DrainTime)
	defer cancel()
	if err := server.Shutdown(limit); errors.Is(err, context.DeadlineExceeded) {
		endAll()
		last, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := server.Shutdown(last); err != nil {
			return server.Close()
		}
	}
	return nil
}

func handler(
	everything context.Context, s *Settings, connection grpc.ClientConnInterface, tracer trace.Tracer,
	stopping func() bool,
) (http.Handler, error) {
	calls, err := rest.Handler(everything, connection, tracer)
	if err != nil {
		return nil, err
	}
	compress, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.ContentTypes(compressed))
	if err != nil {
		return nil, err
	}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /healthz", alive)
	routes.HandleFunc("GET /readyz", ready(connection, stopping))
	routes.Handle("GET /openapi.json", compress(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(openapi.Document)
	})))
	docs := v5emb.NewHandlerWithConfig(swgui.Config{
		Title: "Rowlock", SwaggerJSON: "/openapi.json", BasePath: "/docs/", HideCurl: false,
	})
	routes.Handle("GET /docs/", docs)
	routes.Handle("GET /docs", http.RedirectHandler("/docs/", http.StatusMovedPermanently))
	home := "/docs/"
	if s.Kiosk != "" {
		home = "/kiosk/"
		routes.Handle("GET /kiosk/", compress(kiosk(s.Kiosk)))
	}
	routes.Handle("GET /{$}", http.RedirectHandler(home, http.StatusFound))
	routes.HandleFunc("/", nowhere(routes))
	guarded := forwardedBy(s.TrustedProxies, bounded(s.BodyLimit, rpcOr(compress(calls), routes)))
	return observed(patient(s.WriteTimeout, safe(shared(s.CORSOrigins, guarded)))), nil
}

// rpcOr keeps the paths of RPCs as they were sent: the mux for pages would tidy them up, and send the caller there.
func rpcOr(calls, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") || strings.HasPrefix(r.URL.Path, "/.well-known/") {
			calls.ServeHTTP(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	})
}

// safe answers for a fault of our own like the server for one of its, and has no answer taken for what it is not.
func safe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		defer func() {
			failed := recover()
			if failed == nil {
				return
			}
			if failed == http.ErrAbortHandler {
				panic(failed)
			}
			slog.Error("fault", "panic", fmt.Sprint(failed), "stack", string(debug.Stack()))
			if timed, ok := w.(*timedWriter); ok && timed.begun {
				panic(http.ErrAbortHandler) // nobody may take what was sent so far for the whole
			}
			said := "the gateway failed to serve this call; the fault is logged"
			internal := rest.Refusal(codes.Internal, rowlock.ErrorReason_INTERNAL, said)
			rest.Refuse(w, r, http.StatusInternalServerError, internal)
		}()
		next.ServeHTTP(w, r)
	})
}

// shared lets pages of other origins call, if there are any that may.
func shared(origins []string, next http.Handler) http.Handler {
	if len(origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete},
		AllowedHeaders: []string{
			"Authorization", "Content-Type", "Idempotency-Key", "Traceparent", "Tracestate", "Last-Event-ID",
		},
		ExposedHeaders: []string{"Retry-After", "RateLimit", "RateLimit-Policy", "WWW-Authenticate"},
		MaxAge:         3600,
	}).Handler(next)
}
