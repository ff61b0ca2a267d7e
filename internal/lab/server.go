package lab

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Servers are the lab's two services on 127.0.0.1.
type Servers struct {
	IssuerURL string // http://127.0.0.1:PORT
	STSURL    string // http://127.0.0.1:PORT
	lab       *Lab
	servers   []*http.Server
}

// Start serves the issuer and STS on ports of 127.0.0.1 that the system picks, until Close.
func (l *Lab) Start() (*Servers, error) {
	s := &Servers{lab: l}
	issuerURL, err := s.listen(issuerService, l.Issuer())
	if err != nil {
		return nil, err
	}
	stsURL, err := s.listen(stsService, l.STS())
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.IssuerURL, s.STSURL = issuerURL, stsURL
	return s, nil
}

func (s *Servers) listen(service string, handler http.Handler) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listening for the lab's %s: %w", service, err)
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				s.lab.connected(service)
			}
		},
	}
	s.servers = append(s.servers, server)
	go func() { _ = server.Serve(listener) }() // it returns ErrServerClosed when Close is called
	return "http://" + listener.Addr().String(), nil
}

// Close stops both services, including requests in progress.
func (s *Servers) Close() error {
	var errs []error
	for _, server := range s.servers {
		errs = append(errs, server.Close())
	}
	return errors.Join(errs...)
}

// Counts returns the traffic that the services, issuer and sts, have received.
func (l *Lab) Counts() map[string]Count {
	l.mu.Lock()
	defer l.mu.Unlock()
	return map[string]Count{issuerService: l.counts[issuerService], stsService: l.counts[stsService]}
}

func (l *Lab) connected(service string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := l.counts[service]
	count.Connections++
	l.counts[service] = count
}
