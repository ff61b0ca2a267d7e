package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/policy"
)

// World is the AWS side, accounts with their providers, roles and policies, and the jobs that GitHub runs. It is
// read from a file and does not change.
type World struct {
	regions  []string // empty: every region of well-formed name
	accounts map[string]*account
	roles    map[string]*role // by ARN
	managed  map[string]*policy.Document
	jobs     map[string]Job
}

type account struct {
	id, name, partition string
	organization        string // o-..., or empty
	providers           map[string]provider
	scps                []*policy.Document
	disabledRegions     []string
}

// provider is an OIDC provider of an account; its key is the issuer's URL without https://.
type provider struct {
	arn, issuer string // the issuer is without https://
	clientIDs   []string
}

type role struct {
	account     *account
	arn, id     string
	name        string
	oldID       string // of the role that had this ARN when the trust policies were saved; usually empty
	trust       *policy.Document
	identity    []*policy.Document
	boundary    *policy.Document
	maxDuration time.Duration
	tags        tags
}

var (
	accountID  = regexp.MustCompile(`^[0-9]{12}$`)
	roleName   = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)            // IAM API reference, CreateRole
	rolePath   = regexp.MustCompile(`^/([\x21-\x7e]+/)?$`)           // IAM API reference, CreateRole
	partitions = regexp.MustCompile(`^aws(-[a-z]+)*$`)               // aws, aws-cn, aws-us-gov, aws-iso-b
	regionName = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]+$`) // us-east-1, us-gov-west-1, eusc-de-east-1
)

// ReadWorld reads name, a world.json, from fsys, and the policy files that it names, relative to it. It rejects
// what IAM would refuse to create. Errors name the file and the field.
func ReadWorld(fsys fs.FS, name string) (*World, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("reading the world: %w", err)
	}
	var file worldFile
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("%s: %s", name, strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: there is something behind the world's closing brace", name)
	}
	r := reader{fsys: fsys, dir: path.Dir(name), world: &World{
		regions:  file.Regions,
		accounts: map[string]*account{},
		roles:    map[string]*role{},
		managed:  map[string]*policy.Document{},
		jobs:     map[string]Job{},
	}}
	if err := r.read(file); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r.world, nil
}

// Jobs returns the names of the world's jobs, sorted.
func (w *World) Jobs() []string { return slices.Sorted(maps.Keys(w.jobs)) }

// Roles returns the ARNs of the world's roles, sorted.
func (w *World) Roles() []string { return slices.Sorted(maps.Keys(w.roles)) }

type reader struct {
	fsys  fs.FS
	dir   string
	world *World
}

func (r *reader) read(file worldFile) error {
	if len(file.Accounts) == 0 {
		return errors.New("accounts: there is none")
	}
	for i, region := range file.Regions {
		if !regionName.MatchString(region) {
			return fmt.Errorf("regions[%d]: %q is not the name of a region", i, region)
		}
	}
	for i, a := range file.Accounts {
		if err := r.account(a); err != nil {
			return fmt.Errorf("accounts[%d].%w", i, err)
		}
	}
	for _, arn := range slices.Sorted(maps.Keys(file.ManagedPolicies)) {
		document, err := r.document(file.ManagedPolicies[arn], policy.Boundary, "") // the kind with a managed policy's size
		if err != nil {
			return fmt.Errorf("managedPolicies[%s]: %w", arn, err)
		}
		r.world.managed[arn] = document
	}
	if err := r.resolvePrincipals(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(file.Jobs)) {
		job, err := file.Jobs[name].job(name)
		if err != nil {
			return fmt.Errorf("jobs[%s].%w", name, err)
		}
		r.world.jobs[name] = job
	}
	return nil
}

func (r *reader) account(f accountFile) error {
	a := &account{
		id: f.ID, name: f.Name, partition: f.Partition, organization: f.Organization,
		providers: map[string]provider{}, disabledRegions: f.DisabledRegions,
	}
	if a.partition == "" {
		a.partition = "aws"
	}
	switch {
	case !accountID.MatchString(a.id):
		return fmt.Errorf("id: %q is not 12 digits", a.id)
	case r.world.accounts[a.id] != nil:
		return fmt.Errorf("id: %s is there twice", a.id)
	case !partitions.MatchString(a.partition):
		return fmt.Errorf("partition: %q is not the name of a partition", a.partition)
	}
	for i, f := range f.OIDCProviders {
		if err := a.addProvider(f); err != nil {
			return fmt.Errorf("oidcProviders[%d].%w", i, err)
		}
	}
	for i, file := range f.SCPs {
		document, err := r.document(file, policy.SCP, "")
		if err != nil {
			return fmt.Errorf("scps[%d]: %w", i, err)
		}
		a.scps = append(a.scps, document)
	}
	for i, f := range f.Roles {
		if err := r.role(a, f); err != nil {
			return fmt.Errorf("roles[%d].%w", i, err)
		}
	}
	r.world.accounts[a.id] = a
	return nil
}

// addProvider checks what CreateOpenIDConnectProvider checks (IAM API reference): https, no query, no
// port, at most 100 audiences of 1 to 255 characters.
func (a *account) addProvider(f providerFile) error {
	u, err := url.Parse(f.URL)
	plain := err == nil && u.Scheme == "https" && u.Hostname() != "" && u.Host == u.Hostname()
	if !plain || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("url: %q is not an https URL without port and query", f.URL)
	}
	if len(f.ClientIDs) > 100 {
		return fmt.Errorf("clientIds: %d, and IAM takes 100", len(f.ClientIDs))
	}
	for i, id := range f.ClientIDs {
		if len(id) < 1 || len(id) > 255 {
			return fmt.Errorf("clientIds[%d]: %d characters, and IAM takes 1 to 255", i, len(id))
		}
	}
	issuer := strings.TrimPrefix(f.URL, "https://")
	if _, ok := a.providers[issuer]; ok {
		return fmt.Errorf("url: %s is there twice", f.URL)
	}
	arn := "arn:" + a.partition + ":iam::" + a.id + ":oidc-provider/" + issuer
	a.providers[issuer] = provider{arn: arn, issuer: issuer, clientIDs: f.ClientIDs}
	return nil
}

func (r *reader) role(a *account, f roleFile) error {
	if f.Path == "" {
		f.Path = "/"
	}
	if f.MaxSessionDuration == 0 {
		f.MaxSessionDuration = 3600 // seconds; IAM API reference, CreateRole
	}
	switch {
	case !roleName.MatchString(f.Name):
		return fmt.Errorf("name: %q is not the name of a role", f.Name)
	case !rolePath.MatchString(f.Path) || len(f.Path) > 512:
		return fmt.Errorf("path: %q is not the path of a role", f.Path)
	case f.MaxSessionDuration < 3600 || f.MaxSessionDuration > 43200:
		return fmt.Errorf("maxSessionDuration: %d is not within 3600 to 43200 seconds", f.MaxSessionDuration)
	}
	x := &role{
		account: a, name: f.Name, id: identifier("AROA", 17),
		arn:         "arn:" + a.partition + ":iam::" + a.id + ":role" + f.Path + f.Name,
		maxDuration: time.Duration(f.MaxSessionDuration) * time.Second,
	}
	if f.Recreated {
		x.oldID = identifier("AROA", 17)
	}
	if r.world.roles[x.arn] != nil {
		return fmt.Errorf("name: %s is there twice", x.arn)
	}
	for _, key := range slices.Sorted(maps.Keys(f.Tags)) {
		x.tags = append(x.tags, tag{Key: key, Value: f.Tags[key]})
	}
	if problem := x.tags.Problem(); problem != "" {
		return fmt.Errorf("tags: %s", problem)
	}
	var err error
	if x.trust, err = r.document(f.Trust, policy.Trust, x.arn); err != nil {
		return fmt.Errorf("trust: %w", err)
	}
	for i, file := range f.Policies {
		document, err := r.document(file, policy.Identity, x.arn)
		if err != nil {
			return fmt.Errorf("policies[%d]: %w", i, err)
		}
		x.identity = append(x.identity, document)
	}
	if f.Boundary != "" {
		if x.boundary, err = r.document(f.Boundary, policy.Boundary, x.arn); err != nil {
			return fmt.Errorf("boundary: %w", err)
		}
	}
	r.world.roles[x.arn] = x
	return nil
}

func (r *reader) document(file string, kind policy.Kind, roleARN string) (*policy.Document, error) {
	if file == "" {
		return nil, errors.New("no file is named")
	}
	data, err := fs.ReadFile(r.fsys, path.Join(r.dir, file))
	if err != nil {
		return nil, err
	}
	document, err := policy.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := document.Check(kind, roleARN); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return document, nil
}

var (
	rolePrincipal = regexp.MustCompile(`^arn:[a-z-]+:iam::([0-9]{12}):role/.+$`)
)

// resolvePrincipals does what IAM does when it saves a trust policy. A named role must exist, and IAM stores its
// unique id, so that a role that is deleted and created again is another principal (IAM User Guide, "AWS JSON
// policy elements: Principal"). A role of an account outside the world is accepted.
func (r *reader) resolvePrincipals() error {
	for _, arn := range r.world.Roles() {
		trust := r.world.roles[arn].trust
		for i := range trust.Statements {
			principals := trust.Statements[i].Principals
			for j, p := range principals {
				named := rolePrincipal.FindStringSubmatch(p.Value.Text)
				if named == nil || r.world.accounts[named[1]] == nil {
					continue
				}
				target := r.world.roles[p.Value.Text]
				if target == nil {
					return fmt.Errorf(`%s: the trust policy's line %d: Invalid principal in policy: "AWS":%q`,
						arn, p.Value.Line, p.Value.Text)
				}
				if target.oldID != "" {
					principals[j].Value.Text = target.oldID
				}
			}
		}
	}
	return nil
}
