// Package web is what surrounds the RPCs: settings, connections from outside, health, documents, the screens.
package web

import (
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// Settings of a gateway. Each is a flag, and an environment variable of the same name: -call-timeout is
// ROWLOCK_GATEWAY_CALL_TIMEOUT. They are those of Rowlock's other programs, which say more of each.
type Settings struct {
	Address        string
	MetricsAddress string
	Servers        []string
	ServerCA       string
	ServerCert     string
	ServerKey      string
	TLSCert        string
	TLSKey         string
	CORSOrigins    []string
	TrustedProxies []netip.Prefix
	BodyLimit      int64
	CallTimeout    time.Duration
	WriteTimeout   time.Duration
	DrainTime      time.Duration
	Kiosk          string
	LogLevel       slog.Level
	LogJSON        bool
	// Of the OpenTelemetry collector; empty: no traces.
	TracingEndpoint string
	TracingRatio    float64
}

// These are settings of every program, so their variables have no GATEWAY in them.
var common = map[string]bool{"log-level": true, "log-format": true, "tracing-endpoint": true, "tracing-ratio": true}

// Read takes the settings from the arguments, and what they do not say from the environment.
func Read(arguments []string) (*Settings, error) {
	s := &Settings{}
	var servers, origins, proxies, level, format string
	flags := flag.NewFlagSet("rowlock-gateway", flag.ContinueOnError)
	flags.StringVar(&s.Address, "address", "127.0.0.1:8080", "serve HTTP here")
	flags.StringVar(&s.MetricsAddress, "metrics-address", "127.0.0.1:9480", "serve Prometheus metrics here; off: nowhere")
	flags.StringVar(&servers, "servers", "127.0.0.1:50051", "the gRPC servers, by commas; one name may stand for many")
	flags.StringVar(&s.ServerCA, "server-ca-file", "", "PEM authorities of the servers' certificates; empty: plain text")
	flags.StringVar(&s.ServerCert, "server-cert-file", "", "PEM certificate to show to the servers (mTLS); empty: none")
	flags.StringVar(&s.ServerKey, "server-key-file", "", "its key")
	flags.StringVar(&s.TLSCert, "tls-cert-file", "", "PEM certificate to serve HTTPS with; empty: HTTP")
	flags.StringVar(&s.TLSKey, "tls-key-file", "", "its key")
	flags.StringVar(&origins, "cors-origins", "", "web origins that may call, by commas; empty: none, *: all")
	flags.StringVar(&proxies, "trusted-proxies", "", "networks whose X-Forwarded-For is believed, by commas")
	flags.Int64Var(&s.BodyLimit, "body-limit", 262144, "longest request body, in bytes")
	flags.DurationVar(&s.CallTimeout, "call-timeout", 20*time.Second, "longest time of a call that is no stream")
	flags.DurationVar(&s.WriteTimeout, "write-timeout", 30*time.Second, "longest time in which a reader takes nothing")
	flags.DurationVar(&s.DrainTime, "drain-time", 15*time.Second, "how long calls under way may take to end at a stop")
	flags.StringVar(&s.Kiosk, "kiosk-dir", "", "folder of the screens to serve at /kiosk/; empty: none")
	flags.StringVar(&level, "log-level", "info", "the least important line that is written: debug, info, warning, error")
	flags.StringVar(&format, "log-format", "console", "console, or json for one object per line")
	flags.StringVar(&s.TracingEndpoint, "tracing-endpoint", "", "OpenTelemetry collector for traces (OTLP over HTTP); empty: none")
	flags.Float64Var(&s.TracingRatio, "tracing-ratio", 0.1, "share of traces that are sent, from 0 to 1")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), "The REST gateway of Rowlock. Every flag is a variable, too: ROWLOCK_GATEWAY_ADDRESS, …\n\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q is no flag; -h lists them", flags.Arg(0))
	}
	if err := fromEnvironment(flags); err != nil {
		return nil, err
	}
	s.Servers, s.CORSOrigins, s.LogJSON = split(servers), split(origins), format == "json"
	if s.MetricsAddress == "off" {
		s.MetricsAddress = ""
	}
	if err := s.LogLevel.UnmarshalText([]byte(strings.ReplaceAll(level, "warning", "warn"))); err != nil {
		return nil, fmt.Errorf("-log-level: %q is none of debug, info, warning, error", level)
	}
	for _, text := range split(proxies) {
		network, err := parseNetwork(text)
		if err != nil {
			return nil, fmt.Errorf("-trusted-proxies: %q is no network such as 10.0.0.0/8", text)
		}
		s.TrustedProxies = append(s.TrustedProxies, network)
	}
	return s, s.check()
}

func (s *Settings) check() error {
	switch {
	case s.Address == "" || s.Address == "off":
		return fmt.Errorf("-address: say where to serve, as host:port")
	case len(s.Servers) == 0:
		return fmt.Errorf("-servers: name at least one gRPC server, as host:port")
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return fmt.Errorf("-tls-cert-file and -tls-key-file belong together")
	case (s.ServerCert == "") != (s.ServerKey == ""):
		return fmt.Errorf("-server-cert-file and -server-key-file belong together")
	case s.ServerCert != "" && s.ServerCA == "":
		return fmt.Errorf("-server-cert-file: a certificate is shown over TLS only, so -server-ca-file is needed, too")
	case s.BodyLimit < 1024:
		return fmt.Errorf("-body-limit: must be at least 1024 bytes")
	case s.TracingEndpoint != "" && !isPlace(s.TracingEndpoint):
		return fmt.Errorf("-tracing-endpoint: %q is no address such as http://127.0.0.1:4318", s.TracingEndpoint)
	case !(s.TracingRatio >= 0 && s.TracingRatio <= 1):
		return fmt.Errorf("-tracing-ratio: must be from 0 to 1")
	case s.CallTimeout <= 0 || s.WriteTimeout <= 0 || s.DrainTime < 0:
		return fmt.Errorf("-call-timeout, -write-timeout and -drain-time: must be times such as 20s")
	}
	return nil
}

// fromEnvironment sets what the arguments did not: a variable that they overrule may be written as Python reads it.
func fromEnvironment(flags *flag.FlagSet) error {
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var failed error
	flags.VisitAll(func(f *flag.Flag) {
		if given[f.Name] || failed != nil {
			return
		}
		prefix := "ROWLOCK_GATEWAY_"
		if common[f.Name] {
			prefix = "ROWLOCK_"
		}
		name := prefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value := os.Getenv(name); value != "" {
			if err := f.Value.Set(value); err != nil {
				failed = fmt.Errorf("%s=%s: %w", name, value, err)
			}
		}
	})
	return failed
}

func isPlace(text string) bool {
	place, err := url.Parse(text)
	return err == nil && (place.Scheme == "http" || place.Scheme == "https") && place.Host != ""
}

func split(text string) []string {
	var parts []string
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

func parseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}
