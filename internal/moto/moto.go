// Package moto starts moto's server for the tests that need what the lab does not have: IAM, CloudFormation and S3. moto
// accepts any credentials, so no test may use it to show what STS does.
package moto

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Start starts the server on loopback, with AWS's managed policies, until the test ends. It returns its URL, and fails the
// test where moto_server is not installed.
func Start(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Fatalf("%v; install moto[server]", err)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	server := exec.CommandContext(t.Context(), path, "-H", "127.0.0.1", "-p", port)
	server.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "MOTO_IAM_LOAD_MANAGED_POLICIES=true"}
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		if err := server.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		<-ended
		if t.Failed() {
			t.Logf("moto's log:\n%s", log.Bytes())
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if connection, err := net.Dial("tcp", address); err == nil {
			if err := connection.Close(); err != nil {
				t.Fatal(err)
			}
			return "http://" + address
		}
		if time.Now().After(deadline) {
			t.Fatal("moto does not answer after a minute")
		}
	}
}
