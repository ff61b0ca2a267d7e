//go:build tools

package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/runner"
	"github.com/org/hubspoke-chain/internal/selfsigned"
)

// companyScene is a job in a company's network: GitHub and STS are at an address of this machine that is not the
// loopback address, which bypasses proxies, and use TLS with a company CA.
type companyScene struct {
	lab         *lab.Lab
	job         *runner.Job
	program     string
	sts, issuer string // URLs
	authority   string // PEM
}

func newCompanyScene(t *testing.T) companyScene {
	t.Helper()
	world, err := lab.ReadWorld(examples.Lab, "lab/world.json")
	if err != nil {
		t.Fatal(err)
	}
	l := lab.New(world, lab.Options{})
	address := outward(t)
	certificate, err := selfsigned.New("Company", time.Now().Add(time.Hour), net.ParseIP(address))
	if err != nil {
		t.Fatal(err)
	}
	serve := func(h http.Handler) *httptest.Server {
		server := httptest.NewUnstartedServer(h)
		listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			t.Fatal(err)
		}
		server.Listener.Close()
		server.Listener = listener
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
		server.StartTLS()
		t.Cleanup(server.Close)
		return server
	}
	sts, issuer := serve(l.STS()), serve(l.Issuer())
	claims, err := l.Job("staging")
	if err != nil {
		t.Fatal(err)
	}
	job, err := runner.NewJob(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(job.Env, l.RequestEnv(issuer.URL, claims))
	return companyScene{
		lab: l, job: job, program: built(t, "../..", "./cmd/hubspoke-chain"), sts: sts.URL, issuer: issuer.URL,
		authority: selfsigned.PEM(certificate),
	}
}

// outward is an IPv4 address of this machine that is not the loopback.
func outward(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
			return ip.IP.String()
		}
	}
	t.Fatal("this machine has no IPv4 address but the loopback")
	return ""
}

// tinyproxy starts Debian's proxy with more lines of configuration, and returns its HOST:PORT and a function that kills it.
func tinyproxy(t *testing.T, more ...string) (address string, kill func()) {
	t.Helper()
	path, err := exec.LookPath("tinyproxy")
	if err != nil {
		t.Fatal("tinyproxy is not installed; Debian has it")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(address)
	file := filepath.Join(t.TempDir(), "tinyproxy.conf")
	text := strings.Join(append([]string{"Port " + port, "Listen 127.0.0.1", "Timeout 60", "MaxClients 50", `LogFile "` + filepath.Join(t.TempDir(), "log") + `"`}, more...), "\n") + "\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, "-d", "-c", file)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		command.Process.Kill()
		command.Wait()
	})
	t.Cleanup(kill)
	for range 200 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return address, kill
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("tinyproxy does not listen")
	return "", nil
}

// step runs the action with more inputs and returns its status and its log.
func (s companyScene) step(t *testing.T, with map[string]string) (status int, shown string) {
	t.Helper()
	action, err := runner.ReadAction("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{
		"aws-region": "us-east-1", "hub-role-to-assume": "arn:aws:iam::123456789012:role/github-actions-hub",
		"role-to-assume": "arn:aws:iam::222222222222:role/deploy-staging", "sts-endpoint": s.sts, "ca-bundle": s.authority,
	}
	maps.Copy(all, with)
	step, err := s.job.Start(action, all, nil)
	if err != nil {
		t.Fatal(err)
	}
	status, stderr, err := step.Run(t.Context(), s.program)
	if err != nil || stderr != "" {
		t.Fatalf("%v\n%s", err, stderr)
	}
	if _, err := step.End(); err != nil {
		t.Fatal(err)
	}
	return status, step.Log.Shown()
}

// ports are those that the proxy must let through.
func (s companyScene) ports() (lines []string) {
	for _, raw := range []string{s.sts, s.issuer} {
		u, _ := url.Parse(raw)
		lines = append(lines, "ConnectPort "+u.Port())
	}
	return lines
}

func TestProxy(t *testing.T) {
	t.Parallel()
	const password = "hunter2._-hunter2"
	s := newCompanyScene(t)

	open, _ := tinyproxy(t, s.ports()...)
	if status, log := s.step(t, map[string]string{"http-proxy": "http://" + open}); status != 0 {
		t.Errorf("without a password: status %d\n%s", status, log)
	}
	s.job.Env["HTTPS_PROXY"] = open
	if status, log := s.step(t, nil); status != 0 {
		t.Errorf("by HTTPS_PROXY: status %d\n%s", status, log)
	}
	delete(s.job.Env, "HTTPS_PROXY")

	closed, _ := tinyproxy(t, append(s.ports(), "BasicAuth user "+password)...)
	through := "http://user:" + url.QueryEscape(password) + "@" + closed
	if status, log := s.step(t, map[string]string{"http-proxy": through}); status != 0 || strings.Contains(log, "hunter2") {
		t.Errorf("with a password: status %d\n%s", status, log)
	}
	for name, c := range map[string]struct{ proxy, says string }{
		"without the password":    {"http://" + closed, "does not connect the step to GitHub's token endpoint"},
		"with a wrong password":   {"http://user:hunter3@" + closed, "does not connect the step to GitHub's token endpoint"},
		"at a port of no proxy":   {"http://127.0.0.1:1", "does not connect the step to GitHub's token endpoint"},
		"a proxy that refuses it": {"http://" + first(tinyproxy(t, "ConnectPort 563")), "does not connect the step to GitHub's token endpoint"},
	} {
		status, log := s.step(t, map[string]string{"http-proxy": c.proxy, "retry-max-attempts": "1"})
		if status != 1 || !strings.Contains(log, c.says) || strings.Contains(log, "hunter3") {
			t.Errorf("%s: status %d\n%s", name, status, log)
		}
	}
	if status, log := s.step(t, map[string]string{"http-proxy": "http://127.0.0.1:1", "no-proxy": strings.Split(strings.TrimPrefix(s.sts, "https://"), ":")[0]}); status != 0 {
		t.Errorf("past a proxy that is not there: status %d\n%s", status, log)
	}
}

func first(address string, _ func()) string { return address }

// TestProxyDies kills the proxy while the spoke is being assumed: nothing is exported, and the explanation names it.
func TestProxyDies(t *testing.T) {
	t.Parallel()
	s := newCompanyScene(t)
	proxy, kill := tinyproxy(t, s.ports()...)
	fault, err := lab.ParseFault("sts:AssumeRole:delay:1:3s")
	if err != nil {
		t.Fatal(err)
	}
	s.lab.Fail(fault)
	go func() {
		for s.lab.Counts()["sts"].Requests < 2 {
			time.Sleep(5 * time.Millisecond)
		}
		kill()
	}()
	status, log := s.step(t, map[string]string{"http-proxy": "http://" + proxy, "retry-max-attempts": "2"})
	want := fmt.Sprintf("the proxy %q does not connect the step to AWS STS", proxy)
	if status != 1 || !strings.Contains(log, "  retry    ") || !strings.Contains(log, want) || s.job.Env["AWS_ACCESS_KEY_ID"] != "" {
		t.Errorf("status %d\n%s", status, log)
	}
}
