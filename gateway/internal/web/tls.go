package web

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

const lookAgain = time.Minute

// towardServers is how the servers are spoken to; nil: in plain text.
func towardServers(s *Settings) (*tls.Config, error) {
	if s.ServerCA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(s.ServerCA)
	if err != nil {
		return nil, fmt.Errorf("-server-ca-file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("-server-ca-file: %s has no PEM certificate", s.ServerCA)
	}
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	if s.ServerCert != "" {
		pair, err := readPair(s.ServerCert, s.ServerKey)
		if err != nil {
			return nil, fmt.Errorf("-server-cert-file: %w", err)
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return pair.current(), nil
		}
	}
	return config, nil
}

// towardCallers is how callers speak to us; nil: in plain text.
func towardCallers(s *Settings) (*tls.Config, error) {
	if s.TLSCert == "" {
		return nil, nil
	}
	pair, err := readPair(s.TLSCert, s.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("-tls-cert-file: %w", err)
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.current(), nil },
	}, nil
}

// pair is a certificate with its key, read anew when its files change: certificates are renewed while we run.
type pair struct {
	cert, key string
	mutex     sync.Mutex
	kept      *tls.Certificate
	looked    time.Time
	changed   time.Time
}

func readPair(cert, key string) (*pair, error) {
	read, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	return &pair{cert: cert, key: key, kept: &read, looked: time.Now(), changed: changeOf(cert)}, nil
}

func (p *pair) current() *tls.Certificate {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if time.Since(p.looked) < lookAgain {
		return p.kept
	}
	p.looked = time.Now()
	if changed := changeOf(p.cert); !changed.Equal(p.changed) {
		if read, err := tls.LoadX509KeyPair(p.cert, p.key); err == nil {
			p.kept, p.changed = &read, changed
			slog.Info("the certificate was renewed", "file", p.cert)
		} else {
			slog.Error("the renewed certificate cannot be used; the old one stays", "file", p.cert, "error", err.Error())
		}
	}
	return p.kept
}

func changeOf(file string) time.Time {
	if told, err := os.Stat(file); err == nil {
		return told.ModTime()
	}
	return time.Time{}
}
