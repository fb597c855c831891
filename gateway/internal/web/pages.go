package web

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/rowlock/rowlock/gateway/internal/rest"
	rowlock "github.com/rowlock/rowlock/gen/go/rowlock/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
)

const healthTime = 2 * time.Second

// alive says that the process answers.
func alive(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

// ready says whether calls would be served: not while it stops, and not without a server.
func ready(connection grpc.ClientConnInterface, stopping func() bool) http.HandlerFunc {
	health := grpc_health_v1.NewHealthClient(connection)
	return func(w http.ResponseWriter, r *http.Request) {
		if stopping() {
			http.Error(w, "stopping", http.StatusServiceUnavailable)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), healthTime)
		defer cancel()
		answer, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		if err != nil || answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			http.Error(w, "no server serves", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	}
}

// nowhere refuses what no page is for: the path, or the method if GET finds a page there.
func nowhere(pages *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		asked := r.Clone(r.Context())
		asked.Method = http.MethodGet
		if _, found := pages.Handler(asked); found != "/" {
			w.Header().Set("Allow", "GET, HEAD")
			said := rest.Refusal(codes.Unimplemented, rowlock.ErrorReason_NOT_IMPLEMENTED, "this path takes GET, HEAD")
			rest.Refuse(w, r, http.StatusMethodNotAllowed, said)
			return
		}
		said := "there is nothing at this path; /docs has all"
		rest.Refuse(w, r, http.StatusNotFound, rest.Refusal(codes.NotFound, rowlock.ErrorReason_NOT_FOUND, said))
	}
}

// kiosk serves the screens. They load nothing from elsewhere, and nothing else may be loaded into them.
func kiosk(folder string) http.Handler {
	files := http.StripPrefix("/kiosk/", http.FileServerFS(os.DirFS(folder)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") && r.URL.Path != "/kiosk/" {
			http.NotFound(w, r) // of a folder the library would show a list
			return
		}
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; style-src 'self'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
}
