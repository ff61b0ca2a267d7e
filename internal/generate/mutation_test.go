package generate_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// mutation is a string that is nearly another, and how it came about.
type mutation struct{ how, text string }

var subjectParts = regexp.MustCompile(`^repo:([^@/]+)(?:@(\d+))?/([^@/]+?)(?:@(\d+))?:([a-z_]+)(?::(.*))?$`)

// mutateSubject gives what a token of someone else, or of another job, could have for a subject, and what
// it could not have but might be mistaken for it. Some of it may be another subject that is allowed: the
// caller knows which are.
func mutateSubject(t *testing.T, r *rand.Rand, subject string) []mutation {
	t.Helper()
	m := subjectParts.FindStringSubmatch(subject)
	if m == nil {
		t.Fatalf("%q is no subject", subject)
	}
	owner, ownerID, repo, id, kind, value := m[1], m[2], m[3], m[4], m[5], m[6]
	build := func(owner, ownerID, repo, id, context string) string {
		if ownerID != "" {
			owner += "@" + ownerID
		}
		if id != "" {
			repo += "@" + id
		}
		return "repo:" + owner + "/" + repo + ":" + context
	}
	context := kind
	if value != "" {
		context += ":" + value
	}
	var all []mutation
	add := func(how, text string) {
		if text != subject {
			all = append(all, mutation{how, text})
		}
	}
	in := func(how, context string) { add(how, build(owner, ownerID, repo, id, context)) }

	for _, n := range names(owner) {
		add("owner "+n.how, build(n.text, ownerID, repo, id, context))
	}
	for _, n := range names(repo) {
		add("repository "+n.how, build(owner, ownerID, n.text, id, context))
	}
	add("ids of others", build(owner, digits(r), repo, digits(r), context))
	add("another owner of the name", build(owner, digits(r), repo, orDigits(r, id), context))
	add("another repository of the name", build(owner, orDigits(r, ownerID), repo, digits(r), context))
	add("hyphen form", build(owner+"-"+orDigits(r, ownerID), "", repo+"-"+orDigits(r, id), "", context))
	if id != "" {
		add("legacy form", build(owner, "", repo, "", context))
		add("without the owner's id", build(owner, "", repo, id, context))
		add("without the repository's id", build(owner, ownerID, repo, "", context))
		add("ids exchanged", build(owner, id, repo, ownerID, context))
		add("id longer", build(owner, ownerID+"0", repo, id+"0", context))
		add("id shorter", build(owner, ownerID[:len(ownerID)-1], repo, id, context))
		add("id with a zero in front", build(owner, "0"+ownerID, repo, id, context))
	}

	in("pull request", "pull_request")
	in("another branch", "ref:refs/heads/other-"+digits(r))
	in("another environment", "environment:other-"+digits(r))
	in("tag named like the value", "ref:refs/tags/"+value)
	in("branch named like the value", "ref:refs/heads/"+value)
	in("environment named like the ref", "environment:"+value)
	in("no context", "")
	in("context's kind alone", kind)
	in("context's kind with a colon", kind+":")
	in("context's kind in capitals", strings.ToUpper(kind)+strings.TrimPrefix(context, kind))
	in("context and a customized claim", context+":job_workflow_ref:o/r/.github/workflows/d.yml@refs/heads/main")
	in("customized claim and context", "repository_visibility:private:"+context)
	in("value with a colon more", context+":x")
	in("value with an escaped colon more", context+"%3Ax")
	in("colon escaped", kind+"%3A"+value)
	in("colons not escaped", strings.ReplaceAll(context, "%3A", ":"))
	in("colon escaped in small letters", strings.ReplaceAll(context, "%3A", "%3a"))
	in("colon escaped twice", strings.ReplaceAll(context, "%3A", "%253A"))
	for _, n := range names(value) {
		in("value "+n.how, kind+":"+n.text)
	}

	add("stranger's environment that holds it", "repo:stranger/x:environment:"+subject)
	add("stranger's environment that holds it, escaped", "repo:stranger/x:environment:"+strings.ReplaceAll(subject, ":", "%3A"))
	add("stranger's branch that holds it", "repo:stranger/x:ref:refs/heads/"+subject)
	for _, around := range []string{" ", "\n", "\x00", "\t", "/", ":", "*", "?", "\u200b", "\ufeff"} {
		add("leading character", around+subject)
		add("trailing character", subject+around)
	}
	add("doubled", subject+subject)
	add("list of two", subject+","+subject)
	add("upper case", strings.ToUpper(subject))
	add("lower case", strings.ToLower(subject))
	add("scheme in capitals", "REPO"+subject[len("repo"):])
	add("without its scheme", strings.TrimPrefix(subject, "repo:"))
	add("everything", "*")
	add("everything of the owner", "repo:"+owner+"/*")
	add("variable", "${token.actions.githubusercontent.com:sub}")
	add("empty", "")

	runes := []rune(subject)
	i, c := r.IntN(len(runes)), []rune("aZ0-_/:@*? é\n")
	random := c[r.IntN(len(c))]
	add("one character more", string(runes[:i])+string(random)+string(runes[i:]))
	add("one character less", string(runes[:i])+string(runes[i+1:]))
	add("one character another", string(runes[:i])+string(random)+string(runes[i+1:]))
	add("cut off", string(runes[:i]))
	add("begun late", string(runes[i:]))
	flipped := append([]rune(nil), runes...)
	flipped[i] = flip(flipped[i])
	add("one letter's case", string(flipped))
	if i+1 < len(runes) {
		swapped := append([]rune(nil), runes...)
		swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
		add("two characters exchanged", string(swapped))
	}
	return all
}

// names are what a stranger could call an owner, a repository or an environment to be taken for another.
func names(name string) []mutation {
	all := []mutation{
		{"with a prefix", "x" + name}, {"with a prefix and a hyphen", "x-" + name},
		{"with a suffix", name + "x"}, {"with a suffix and a hyphen", name + "-x"},
		{"in other case", strings.Map(flip, name)}, {"another", "stranger"},
		{"any", "*"}, {"any with the prefix", name + "*"}, {"one more character", name + "?"}, {"variable", "${aws:userid}"},
	}
	if len(name) > 1 {
		all = append(all, mutation{"shorter", name[:len(name)-1]}, mutation{"without its first", name[1:]})
	}
	return all
}

func flip(c rune) rune {
	if unicode.IsUpper(c) {
		return unicode.ToLower(c)
	}
	return unicode.ToUpper(c)
}

// digits are an id that no generated repository has: those have up to eight digits.
func digits(r *rand.Rand) string { return "9" + string(rune('0'+r.IntN(10))) + "00000000" }

func orDigits(r *rand.Rand, id string) string {
	if id == "" {
		return digits(r)
	}
	return id
}
