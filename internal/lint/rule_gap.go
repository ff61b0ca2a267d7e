package lint

var _ = register(Rule{
	Name:     "tagsession-missing",
	Severity: Warning,
	Why:      "Session tags must be allowed by both policies: the hub's permissions and the spoke's trust.",
	Fix:      "allow sts:TagSession wherever sts:AssumeRole is allowed, or set role-skip-session-tagging: true",
	Doc:      iamGuide + "id_session-tags.html",
	Check:    func(p *pass) { p.reportGaps(tagSession) },
})

var _ = register(Rule{
	Name:     "setsourceidentity-missing",
	Severity: Warning,
	Why:      "A source identity must be allowed by both policies: the hub's permissions and the spoke's trust.",
	Fix:      "allow sts:SetSourceIdentity wherever sts:AssumeRole is allowed, or in neither policy",
	Doc:      iamGuide + "id_credentials_temp_control-access_monitor.html",
	Check:    func(p *pass) { p.reportGaps(setSourceIdentity) },
})

func (p *pass) reportGaps(action string) {
	for _, g := range p.gaps {
		if g.action == action {
			p.report(g.at, g.finding)
		}
	}
}
