// Package golden compares text that a test produces with a file of the repository. Tests that use it accept the flag
// -update, which writes the file instead; make golden runs all of them.
package golden

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write golden files and generated pages instead of comparing them")

// Update reports whether the test runs with -update.
func Update() bool { return *update }

// File checks that the file consists of the text.
func File(t testing.TB, path, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	compare(t, path, read(t, path), text)
}

// Section checks the part of the file between the lines <!-- begin NAME --> and <!-- end NAME -->; the rest is written
// by people.
func Section(t testing.TB, path, name, text string) {
	t.Helper()
	section := regexp.MustCompile(`(?s)<!-- begin ` + regexp.QuoteMeta(name) + `\b[^\n]*-->\n(.*?)<!-- end ` + regexp.QuoteMeta(name) + ` -->\n`)
	page := read(t, path)
	at := section.FindStringSubmatchIndex(page)
	if at == nil {
		t.Fatalf("%s has no section %s", path, name)
	}
	File(t, path, page[:at[2]]+text+page[at[3]:])
}

// compare reports the first line that differs.
func compare(t testing.TB, path, got, want string) {
	t.Helper()
	lines, wanted := strings.Split(got, "\n"), strings.Split(want, "\n")
	at := 0
	for at < min(len(lines), len(wanted)) && lines[at] == wanted[at] {
		at++
	}
	if got != want {
		line := func(of []string) string { return append(of, "(the end of the file)")[at] }
		t.Errorf("%s:%d is out of date; make golden renews it. It has\n%s\nwant\n%s", path, at+1, line(lines), line(wanted))
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
