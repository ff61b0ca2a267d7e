// Package e2e contains the end-to-end tests. Only GitHub and AWS are replaced by the lab.
//
// The image tests build the image with its Dockerfile and run it the way GitHub's runner runs a container action, with
// later steps and the post stage. They also use it in workflows under act, and use its credentials with the AWS CLI. They
// have a build tag, because they need Linux, a Docker engine, act, the AWS CLI and Terraform. If one of these is
// missing, they fail:
//
//	go test -tags docker -count=1 -timeout 20m ./internal/e2e/...
//
// GO_IMAGE names the Go image to build with, and to run as a job's container: with sh, sed and tail. Without it
// scripts/go-image.sh makes one from the machine's Go. The tests remove the containers and images that they create. The
// Go image and the engine's build cache are kept for the next run.
//
// The consumer tests run boto3, the Go SDK, the AWS CLI and Terraform with its state in S3, each for longer than two
// sessions last. They need no Docker engine and have a separate build tag, because they need Linux, the AWS CLI,
// Terraform and moto's server, which includes boto3. If one of these is missing, they fail:
//
//	go test -tags tools -count=1 ./internal/e2e/
package e2e
