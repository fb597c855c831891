// Rowlock's gateway: every RPC over REST and JSON, streams included, and the screens of the kiosk.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/rowlock/rowlock/gateway/internal/web"
)

func main() {
	settings, err := web.Read(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		slog.Error("the gateway cannot start", "error", err.Error())
		os.Exit(2)
	}
	web.ConfigureLog(settings.LogLevel, settings.LogJSON)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err = web.Serve(ctx, settings, func(address net.Addr) {
		slog.Info("serving", "address", address.String(), "servers", settings.Servers)
	})
	if err != nil {
		slog.Error("the gateway ended", "error", err.Error())
		os.Exit(1)
	}
	slog.Info("stopped")
}
