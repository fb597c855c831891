// Package web is what surrounds the RPCs: settings, connections from outside, health, documents, the screens.
package web

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"
)

// Settings of a gateway. Each is a flag, and an environment variable of the same name: -call-timeout is
// ROWLOCK_GATEWAY_CALL_TIMEOUT.
type Settings struct {
	Address        string
	Servers        []string
	ServerCA       string
	TLSCert        string
	TLSKey         string
	CORSOrigins    []string
	TrustedProxies []netip.Prefix
	BodyLimit      int64
	CallTimeout    time.Duration
	WriteTimeout   time.Duration
	DrainTime      time.Duration
	Kiosk          string
}

const prefix = "ROWLOCK_GATEWAY_"

// Read takes the settings from the arguments, and what they do not say from the environment.
func Read(arguments []string) (*Settings, error) {
	s := &Settings{}
	var servers, origins, proxies string
	flags := flag.NewFlagSet("rowlock-gateway", flag.ContinueOnError)
	flags.StringVar(&s.Address, "address", "127.0.0.1:8080", "serve HTTP here")
	flags.StringVar(&servers, "servers", "127.0.0.1:50051", "the gRPC servers, by commas; one name may stand for many")
	flags.StringVar(&s.ServerCA, "server-ca-file", "", "PEM authorities of the servers' certificates; empty: plain text")
	flags.StringVar(&s.TLSCert, "tls-cert-file", "", "PEM certificate to serve HTTPS with; empty: HTTP")
	flags.StringVar(&s.TLSKey, "tls-key-file", "", "its key")
	flags.StringVar(&origins, "cors-origins", "", "web origins that may call, by commas; empty: none, *: all")
	flags.StringVar(&proxies, "trusted-proxies", "", "networks whose X-Forwarded-For is believed, by commas")
	flags.Int64Var(&s.BodyLimit, "body-limit", 262144, "longest request body, in bytes")
	flags.DurationVar(&s.CallTimeout, "call-timeout", 20*time.Second, "longest time of a call that is no stream")
	flags.DurationVar(&s.WriteTimeout, "write-timeout", 30*time.Second, "longest time in which a reader takes nothing")
	flags.DurationVar(&s.DrainTime, "drain-time", 15*time.Second, "how long calls under way may take to end at a stop")
	flags.StringVar(&s.Kiosk, "kiosk-dir", "", "folder of the screens to serve at /kiosk/; empty: none")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "The REST gateway of Rowlock. Every flag is also an environment variable, %s….\n\n", prefix)
		flags.PrintDefaults()
	}
	if err := fromEnvironment(flags); err != nil {
		return nil, err
	}
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	s.Servers, s.CORSOrigins = split(servers), split(origins)
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
	case len(s.Servers) == 0:
		return fmt.Errorf("-servers: name at least one gRPC server, as host:port")
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return fmt.Errorf("-tls-cert-file and -tls-key-file belong together")
	case s.BodyLimit < 1024:
		return fmt.Errorf("-body-limit: must be at least 1024 bytes")
	case s.CallTimeout <= 0 || s.WriteTimeout <= 0 || s.DrainTime < 0:
		return fmt.Errorf("-call-timeout, -write-timeout and -drain-time: must be times such as 20s")
	}
	return nil
}

func fromEnvironment(flags *flag.FlagSet) error {
	var failed error
	flags.VisitAll(func(f *flag.Flag) {
		name := prefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value, set := os.LookupEnv(name); set && value != "" && failed == nil {
			if err := f.Value.Set(value); err != nil {
				failed = fmt.Errorf("%s=%s: %w", name, value, err)
			}
		}
	})
	return failed
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
