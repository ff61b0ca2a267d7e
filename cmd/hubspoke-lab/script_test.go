package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hubspoke-lab": main})
}

// TestScripts runs the real main. It builds the action, so it runs in the module, with the user's caches.
func TestScripts(t *testing.T) {
	t.Parallel()
	module, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			home, err := os.UserHomeDir()
			e.Setenv("HOME", home)
			e.Setenv("MODULE", module)
			for _, name := range []string{"GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS"} {
				if value := os.Getenv(name); value != "" {
					e.Setenv(name, value)
				}
			}
			return err
		},
	})
}
