//go:build docker

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestAutoRefresh has steps on the host, of a runner that is not root, use the AWS CLI for longer than three sessions.
func TestAutoRefresh(t *testing.T) {
	t.Parallel()
	s := newScene(t, "staging", short())
	stop := s.watch(t)
	s.end(t, s.start(t, map[string]string{"auto-refresh": "true"}), container(t), 0)
	began := time.Now()
	s.checkFolders(t)
	seconds := int((3*shortLife + 3*time.Second).Seconds())
	for range 3 {
		log := s.runScript(t, s.withTools(fmt.Sprintf(`end=$(($(date +%%s) + %d))
while [ "$(date +%%s)" -lt "$end" ]; do
  aws sts get-caller-identity --query Arn --output text
done`, seconds/3)))
		if rest := strings.ReplaceAll(log, stagingSession+"\n", ""); log == "" || rest != "" {
			t.Errorf("the AWS CLI printed %q", log)
		}
		s.checkFolders(t)
	}
	took := time.Since(began)
	logs := s.finish(t)
	stop()
	if len(logs) != 1 {
		t.Errorf("%d post steps ran: %q", len(logs), logs)
	}
	s.checkHops(t, took)
}
