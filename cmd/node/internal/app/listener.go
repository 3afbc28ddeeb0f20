package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Slow clients. Bodies and answers of sessions are bounded by the engine, which
// also parks polls and upgrades connections: the server's own deadlines for
// whole requests would end those. What is served beside them is small.
const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 75 * time.Second
	maxHeaderBytes = 16 << 10
)

// open listens on addr, which flag has given.
func open(flag, addr string, h http.Handler, logger *slog.Logger) (listener, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		err = fmt.Errorf("%s: %w", flag, err)
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			err = fmt.Errorf("%w: stop what listens there, or choose another port; port 0 is a free one", err)
		case errors.Is(err, syscall.EACCES):
			err = fmt.Errorf("%w: choose a port above 1023", err)
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			err = fmt.Errorf("%w: choose an address of this machine", err)
		}
		return listener{}, err
	}
	return listener{
		Listener: l,
		url:      "http://" + reachable(l.Addr().String()),
		server: &http.Server{
			Handler:           h,
			ReadHeaderTimeout: headerTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		},
	}, nil
}

// reachable turns the address of all interfaces into one to connect to.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

// serve returns nil once drain has closed the listener.
func (a *App) serve(l listener) error {
	var err error
	if l.url == a.main.url && a.cfg.TLSCert != "" {
		err = l.server.ServeTLS(l, a.cfg.TLSCert, a.cfg.TLSKey)
	} else {
		err = l.server.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", l.url, err)
}
