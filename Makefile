# The commands of CONTRIBUTING.md.

.PHONY: test lint golden e2e gate

# All tests that need Go only.
test:
	go test ./...

# gofmt, go vet, staticcheck, actionlint, shellcheck.
lint:
	scripts/lint.sh

# Writes golden files and generated pages. The pages of ./internal are made of the goldens of the others.
golden:
	go test -p 1 -count=1 ./cmd/hubspoke-chain ./cmd/hubspoke-lab ./internal/hop ./internal/lint -update
	go test -count=1 ./internal -update

# The image as the runner runs it, and the example workflows. It needs Docker and Terraform.
e2e:
	PATH="$$(scripts/tools.sh):$$PATH" go test -tags docker -count=1 -timeout 20m ./internal/e2e/...

# Every check that a change must pass.
gate:
	.ci/run
