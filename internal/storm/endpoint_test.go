package storm

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/org/hubspoke-chain/internal/selfsigned"
)

// endpoint is the addresses of one service. They stay the same while each hop has a lab of its own behind them.
type endpoint struct {
	handler     atomic.Pointer[http.Handler]
	servers     []*http.Server
	plain, tls  string // HOST:PORT
	silent      net.Listener
	resetting   net.Listener
	certificate string // PEM

	mu   sync.Mutex
	open map[net.Conn]bool
}

var ownCertificate = sync.OnceValues(func() (tls.Certificate, error) {
	return selfsigned.New("storm", time.Now().Add(24*time.Hour), net.IPv4(127, 0, 0, 1))
})

func newEndpoint() (*endpoint, error) {
	certificate, err := ownCertificate()
	if err != nil {
		return nil, err
	}
	e := &endpoint{open: map[net.Conn]bool{}, certificate: selfsigned.PEM(certificate)}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*e.handler.Load()).ServeHTTP(w, r) })
	listen := func(secure bool) (string, error) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ConnState: e.state,
			ErrorLog: log.New(io.Discard, "", 0)}
		e.servers = append(e.servers, server)
		if secure {
			server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
			go server.ServeTLS(listener, "", "")
		} else {
			go server.Serve(listener)
		}
		return listener.Addr().String(), nil
	}
	if e.plain, err = listen(false); err != nil {
		return nil, err
	}
	if e.tls, err = listen(true); err != nil {
		return nil, errors.Join(err, e.close())
	}
	if e.silent, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, e.close())
	}
	go e.accept(e.silent, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	if e.resetting, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, e.close())
	}
	go e.accept(e.resetting, reset)
	return e, nil
}

func (e *endpoint) close() error {
	var errs []error
	for _, s := range e.servers {
		errs = append(errs, s.Close())
	}
	for _, listener := range []net.Listener{e.silent, e.resetting} {
		if listener != nil {
			errs = append(errs, listener.Close())
		}
	}
	return errors.Join(errs...)
}

// serve puts a lab's service behind the endpoint and returns its URL.
func (e *endpoint) serve(h http.Handler, how connection) string {
	e.handler.Store(&h)
	switch how {
	case overTLS:
		return "https://" + e.tls
	case refused:
		return "http://127.0.0.1:1" // tcpmux, which no machine serves
	case silentHandshake:
		return "https://" + e.silent.Addr().String()
	case resetHandshake:
		return "https://" + e.resetting.Addr().String()
	case silentServer:
		return "http://" + e.silent.Addr().String()
	case plainForTLS:
		return "https://" + e.plain
	}
	return "http://" + e.plain
}

// accept accepts connections and hands them to treat. None gets a response.
func (e *endpoint) accept(listener net.Listener, treat func(net.Conn)) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		e.state(c, http.StateNew)
		go func() {
			treat(c)
			c.Close()
			e.state(c, http.StateClosed)
		}()
	}
}

// reset waits for the client's first bytes and resets the connection.
func reset(c net.Conn) {
	_, _ = io.ReadFull(c, make([]byte, 16)) // a ClientHello has some hundred bytes
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // unsent data is dropped, and the peer sees RST
	}
}

func (e *endpoint) state(c net.Conn, state http.ConnState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch state {
	case http.StateNew:
		e.open[c] = true
	case http.StateClosed, http.StateHijacked:
		delete(e.open, c)
	}
}

// left returns the number of connections that the client has not closed within a second.
func (e *endpoint) left() int {
	for range 100 {
		if e.opened() == 0 {
			return 0
		}
		time.Sleep(10 * time.Millisecond)
	}
	return e.opened()
}

func (e *endpoint) opened() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.open)
}
