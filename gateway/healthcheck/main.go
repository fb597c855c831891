// Healthcheck asks the gateway of this container whether it is ready, for engines that run a program to find out. Its
// image has no shell and no curl.
package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

const patience = 3 * time.Second

func main() {
	if err := ask(os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func ask(setting func(string) string) error {
	address := setting("ROWLOCK_GATEWAY_ADDRESS")
	if address == "" {
		address = "127.0.0.1:8080"
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	scheme := "http"
	if setting("ROWLOCK_GATEWAY_TLS_CERT_FILE") != "" {
		scheme = "https"
	}
	// The certificate names another host; who answers on this port of the container is the gateway in any case.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // see above
	client := &http.Client{Timeout: patience, Transport: transport}
	answer, err := client.Get(scheme + "://" + net.JoinHostPort("127.0.0.1", port) + "/readyz")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", answer.Status)
	}
	return nil
}
