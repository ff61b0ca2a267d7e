// Package e2e holds the tests of the image: built by its Dockerfile, run the way GitHub's runner runs a
// container action, used in a workflow under act, and with the AWS CLI as the consumer of what it
// exports. Only GitHub and AWS are the lab's. They stand behind a build tag, since they need Linux, a
// Docker engine, act, the AWS CLI and Terraform; where one of these is missing they fail:
//
//	go test -tags docker -count=1 -timeout 20m ./internal/e2e/...
//
// GO_IMAGE names the Go image to build with. Without it scripts/go-image.sh makes one of the machine's
// own Go. Containers and images that the tests make are removed; that Go image and what the
// engine caches of the builds are left for the next run.
package e2e
