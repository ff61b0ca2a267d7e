// Package e2e holds the tests of the whole. Only GitHub and AWS are the lab's.
//
// Of the image: built by its Dockerfile, run the way GitHub's runner runs a container action with the steps behind it
// and the post stage, used in workflows under act, and with the AWS CLI as the consumer of what it leaves. They stand
// behind a build tag, since they need Linux, a Docker engine, act, the AWS CLI and Terraform; where one of
// these is missing they fail:
//
//	go test -tags docker -count=1 -timeout 20m ./internal/e2e/...
//
// GO_IMAGE names the Go image to build with, and to run as a job's container: with sh, sed and tail. Without it
// scripts/go-image.sh makes one of the machine's own Go. Containers and images that the tests make are removed; that
// Go image and what the engine caches of the builds are left for the next run.
//
// Of the consumers: boto3, the Go SDK, the AWS CLI and Terraform with its state in S3, each longer at work than two
// sessions last. They need no engine, and stand behind a tag of their own, since they need Linux, the AWS CLI,
// Terraform and moto's server, which brings boto3; where one of these is missing they fail:
//
//	go test -tags tools -count=1 ./internal/e2e/
package e2e
