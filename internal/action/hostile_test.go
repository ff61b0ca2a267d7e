package action

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/runner"
)

// hostileTexts are malicious names of branches, workflows, environments and actors that imitate other output. Each
// contains the word forged.
var hostileTexts = map[string]string{
	"command":            "x\n::error::forged\n::add-mask::forged",
	"command at once":    "::set-env name=forged::1",
	"legacy command":     "x ##[error]forged ##[set-env name=forged;]1",
	"escaped line end":   "x%0A::error::forged%0D%0A::warning::forged",
	"stopped commands":   "::stop-commands::forged",
	"carriage return":    "x\r::error::forged\r\n::notice::forged",
	"heredoc":            "x\nAWS_ACCESS_KEY_ID<<EOF\nforged\nEOF\nPATH=forged",
	"colours":            "\x1b[31mforged\x1b[0m\x1b]8;;https://evil.example\x07forged\x1b]8;;\x07",
	"right to left":      "\u202eforged\u202c \u2066forged\u2069 \u200f",
	"invisible":          "forged\u200b\u00ad\ufeff\u2028::error::forged\u2029",
	"NUL and the like":   "forged\x00\x08\x7f\x1a\u0085",
	"invalid UTF-8":      "forged\xff\xfe\xc0\xaf\xed\xa0\x80",
	"ten thousand":       strings.Repeat("forged ", 1429),
	"link and image":     "[forged](https://evil.example) ![forged](https://evil.example/x.png) <https://evil.example/forged>",
	"HTML":               "<script>forged</script><img src=x onerror=forged><!-- forged",
	"diagram":            "forged\n```mermaid\ngraph TD; forged-->x\n```\n",
	"table and heading":  "forged | a | b |\n| --- |\n# forged\n- [x] forged\n> forged",
	"code":               "`forged` ``forged`` ```forged",
	"mention and maths":  "@org/forged #1 $\\forged$ :forged: org/repo#1",
	"expression":         "${{ secrets.forged }} $(forged) `forged`; forged && forged",
	"quotes and escapes": `forged" '\" \\ \u0041 {"forged": "` + "\t",
}

// hostileWorld is a job in the lab with arbitrary names.
type hostileWorld struct {
	env    map[string]string
	claims map[string]string
	sts    http.Handler // in place of the lab's; nil for that
	github http.Handler
}

// run runs the step and checks everything that it says and writes.
func (w hostileWorld) run(t *testing.T) {
	t.Helper()
	world, err := lab.ReadWorld(examples.Lab, "lab/world.json")
	if err != nil {
		t.Fatal(err)
	}
	l := lab.New(world, lab.Options{})
	serve := func(ours, theirs http.Handler) string {
		if theirs != nil {
			ours = theirs
		}
		server := httptest.NewServer(ours)
		t.Cleanup(server.Close)
		return server.URL
	}
	sts, github := serve(l.STS(), w.sts), serve(l.Issuer(), w.github)
	job, err := l.Job("staging")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range w.claims {
		job.Claims[name] = value
	}
	j, err := runner.NewJob(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	step, err := j.Start(runner.Action{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	env := l.RequestEnv(github, job)
	env["INPUT_AWS-REGION"], env["INPUT_HUB-ROLE-TO-ASSUME"], env["INPUT_ROLE-TO-ASSUME"], env["INPUT_STS-ENDPOINT"] = "us-east-1", hubRole, spokeRole, sts
	env["INPUT_RETRY-MAX-ATTEMPTS"], env["INPUT_ACTION-TIMEOUT-S"] = "1", "5"
	for _, variable := range step.Env() {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	for name, value := range w.env {
		env[name] = value
	}
	var raw strings.Builder
	status := Run(t.Context(), &raw, func(name string) string { return env[name] }, Options{Version: "v1", HostTemp: j.Temp})
	if _, err := step.Log.Write([]byte(raw.String())); err != nil {
		t.Fatal(err)
	}
	result, err := step.End()
	if err != nil || result.Err != nil {
		t.Fatal(err, result.Err)
	}
	w.checkLog(t, raw.String(), step.Log, status, append(l.Secrets(), env["INPUT_HTTP-PROXY"]))
	for _, p := range append(result.Env, result.Output...) {
		if status != 0 || !slices.Contains([]string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION",
			"AWS_CREDENTIAL_EXPIRATION", "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_SDK_LOAD_CONFIG", cleanUpVariable,
			"aws-account-id", "authenticated-arn", "aws-expiration", "oidc-subject", "aws-access-key-id", "aws-secret-access-key", "aws-session-token"}, p.Name) {
			t.Errorf("status %d, and exported %q", status, p)
		}
		if strings.HasPrefix(p.Name, "AWS_") && strings.Contains(p.Value, "forged") && p.Name != "AWS_PROFILE" {
			t.Errorf("exported %q", p)
		}
	}
	checkMarkdown(t, result.Summary)
	if left, _ := filepath.Glob(filepath.Join(j.Temp, "hubspoke-chain-*")); status != 0 && len(left) > 0 {
		t.Errorf("left %q", left)
	}
	os.RemoveAll(j.Temp)
}

func (w hostileWorld) checkLog(t *testing.T, raw string, shown *runner.Log, status int, masks []string) {
	t.Helper()
	errors := 0
	for _, c := range shown.Commands() {
		switch c.Name {
		case "add-mask":
			// A mask is of a secret of the lab, or of a part of what http-proxy was given.
			if !slices.ContainsFunc(masks, func(m string) bool { return m == c.Data || strings.Contains(m, c.Data) }) {
				t.Errorf("forged the mask %q", c.Data)
			}
		case "error":
			errors++
		case "warning", "notice":
		default:
			t.Errorf("forged the command %q", c)
		}
	}
	if errors != status {
		t.Errorf("status %d, and %d errors:\n%s", status, errors, raw)
	}
	if !utf8.ValidString(raw) {
		t.Error("the log is not UTF-8")
	}
	for line := range strings.Lines(raw) {
		line = strings.TrimSuffix(line, "\n")
		if len(line) > 3*4096 && !strings.HasPrefix(line, "::add-mask::") { // what a command escapes has three bytes for one
			t.Errorf("a line of %d bytes", len(line))
		}
		for _, c := range line {
			if c != utf8.RuneError && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == '\u2028' || c == '\u2029') {
				t.Errorf("%U in the line %q", c, line)
				break
			}
		}
	}
}

var (
	codeSpan  = regexp.MustCompile("`[^`\n]*`")
	codeBlock = regexp.MustCompile("(?ms)^(`{3,})[a-z]*$.*?^`{3,}$")
	indented  = regexp.MustCompile(`(?m)^    .*$`)
	escaped   = regexp.MustCompile(`\\[[:punct:]]`)
)

// checkMarkdown takes out of a summary what is code, and what has a backslash before it; in what is left nothing may
// be a link, an image, HTML, a mention or a diagram.
func checkMarkdown(t *testing.T, summary string) {
	t.Helper()
	rest := summary
	for _, code := range []*regexp.Regexp{codeBlock, codeSpan, indented, escaped} {
		rest = code.ReplaceAllString(rest, "")
	}
	rest = strings.ReplaceAll(rest, "<br>", "")
	for _, markup := range []string{"<", "](", "![", "```", "`", "evil.example", "@org", "mermaid", "$", "\x1b", "\x00"} {
		if strings.Contains(rest, markup) {
			t.Errorf("the summary holds %q outside of code:\n%s", markup, summary)
		}
	}
	if !utf8.ValidString(summary) || len(summary) > 1<<20 {
		t.Errorf("the summary has %d bytes, UTF-8: %v", len(summary), utf8.ValidString(summary))
	}
}

// TestHostile calls everything that comes from outside everything that is in hostileTexts.
func TestHostile(t *testing.T) {
	t.Parallel()
	for name, text := range hostileTexts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, claim := range []string{"ref", "actor", "workflow", "environment", "event_name", "head_ref", "base_ref", "repository", "sha", "run_id", "sub", "iss", "aud"} {
				hostileWorld{claims: map[string]string{claim: text}}.run(t)
			}
			for _, variable := range []string{
				"GITHUB_WORKFLOW", "GITHUB_ACTOR", "GITHUB_REF", "GITHUB_JOB", "GITHUB_HEAD_REF", "GITHUB_TRIGGERING_ACTOR", "GITHUB_EVENT_NAME", "GITHUB_REPOSITORY",
				"GITHUB_ACTION", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
				"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_CONFIG_FILE", "HTTPS_PROXY", "NO_PROXY", "RUNNER_TEMP",
			} {
				hostileWorld{env: map[string]string{variable: text}}.run(t)
				hostileWorld{env: map[string]string{variable: text, "INPUT_AUTO-REFRESH": "true"}}.run(t)
			}
			for _, input := range []string{
				"aws-region", "hub-role-to-assume", "role-to-assume", "role-session-name", "role-duration-seconds", "role-skip-session-tagging", "custom-tags",
				"transitive-tag-keys", "source-identity", "role-external-id", "inline-session-policy", "managed-session-policies", "audience", "allowed-account-ids",
				"mask-aws-account-id", "output-env-credentials", "output-credentials", "unset-current-credentials", "aws-profile", "overwrite-aws-profile", "auto-refresh",
				"retry-max-attempts", "action-timeout-s", "http-proxy", "no-proxy", "ca-bundle", "sts-endpoint",
			} {
				hostileWorld{env: map[string]string{"INPUT_" + strings.ToUpper(input): text}}.run(t)
			}
			hostileWorld{env: map[string]string{"INPUT_ROLE-TO-ASSUME": "", "INPUT_SPOKES": text}}.run(t)
			hostileWorld{env: map[string]string{"INPUT_ROLE-TO-ASSUME": "", "INPUT_SPOKES": "p = " + spokeRole + " " + text}}.run(t)

			var message strings.Builder
			if err := xml.EscapeText(&message, []byte(text)); err != nil {
				t.Fatal(err)
			}
			for _, code := range []string{"AccessDenied", "ValidationError", "InvalidIdentityToken", message.String()} {
				body := "<ErrorResponse><Error><Code>" + code + "</Code><Message>" + message.String() + "</Message></Error><RequestId>" + message.String() + "</RequestId></ErrorResponse>"
				hostileWorld{sts: answering(http.StatusForbidden, body)}.run(t)
			}
			hostileWorld{sts: answering(http.StatusOK, text)}.run(t)
			hostileWorld{github: answering(http.StatusForbidden, text)}.run(t)
			hostileWorld{github: answering(http.StatusOK, text)}.run(t)
			hostileWorld{github: answering(http.StatusOK, fmt.Sprintf(`{"value": %q}`, text))}.run(t)
		})
	}
}

func answering(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
}
