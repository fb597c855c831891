package web

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/rowlock/rowlock/gateway/internal/rest"
	"github.com/rowlock/rowlock/gen/openapi"
	"github.com/rs/cors"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
	"google.golang.org/grpc"
)

const (
	headerTime  = 10 * time.Second
	idleTime    = 2 * time.Minute
	largestHead = 16 << 10
	// How long a balancer may take to see that this process is no longer ready, of a drain that takes longer.
	turnAway = time.Second
)

// Serve answers until ctx ends, and then lets what is under way end, within the drain time. `started` gets the address.
func Serve(ctx context.Context, s *Settings, started func(net.Addr)) error {
	encrypt, err := serverTLS(s.ServerCA)
	if err != nil {
		return err
	}
	connection, err := rest.Connect(s.Servers, encrypt, s.CallTimeout)
	if err != nil {
		return fmt.Errorf("-servers: %w", err)
	}
	defer connection.Close()
	// Streams live by this context: they are ended when the drain time is over, and not before.
	streams, endStreams := context.WithCancel(context.Background())
	defer endStreams()
	var stopping atomic.Bool
	routes, err := handler(streams, s, connection, stopping.Load)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           routes,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    largestHead,
		BaseContext:       func(net.Listener) context.Context { return streams },
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	listener, err := net.Listen("tcp", s.Address)
	if err != nil {
		return fmt.Errorf("-address: %w", err)
	}
	served := make(chan error, 1)
	go func() {
		if s.TLSCert != "" {
			served <- server.ServeTLS(listener, s.TLSCert, s.TLSKey)
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
	limit, cancel := context.WithTimeout(context.Background(), s.DrainTime)
	defer cancel()
	if err := server.Shutdown(limit); errors.Is(err, context.DeadlineExceeded) {
		endStreams()
		last, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := server.Shutdown(last); err != nil {
			return server.Close()
		}
	}
	return nil
}

func handler(
	streams context.Context, s *Settings, connection *grpc.ClientConn, stopping func() bool,
) (http.Handler, error) {
	calls, err := rest.Handler(streams, connection)
	if err != nil {
		return nil, err
	}
	compress, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.ContentTypes([]string{"application/json", "text/csv"}))
	if err != nil {
		return nil, err
	}
	routes := http.NewServeMux()
	routes.Handle("/v1/", compress(calls))
	routes.Handle("/.well-known/", calls)
	routes.HandleFunc("GET /healthz", alive)
	routes.HandleFunc("GET /readyz", ready(connection, stopping))
	routes.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(openapi.Document)
	})
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
	routes.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusNotFound, 5, "there is nothing at this path; /docs has all")
	})
	return patient(s.WriteTimeout, shared(s.CORSOrigins, forwardedBy(s.TrustedProxies, bounded(s.BodyLimit, routes)))), nil
}

// shared lets pages of other origins call, if there are any that may.
func shared(origins []string, next http.Handler) http.Handler {
	if len(origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete},
		AllowedHeaders: []string{"Authorization", "Content-Type", "Idempotency-Key", "Traceparent", "Last-Event-ID"},
		ExposedHeaders: []string{"Retry-After"},
		MaxAge:         3600,
	}).Handler(next)
}

func serverTLS(authorities string) (*tls.Config, error) {
	if authorities == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(authorities)
	if err != nil {
		return nil, fmt.Errorf("-server-ca-file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("-server-ca-file: %s has no PEM certificate", authorities)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}
