# The action's image: one static binary and the CA roots, nothing else.
#
# One file for every builder: GitHub's runner (BuildKit), `act` (the classic builder), and
# `docker buildx build --platform linux/amd64,linux/arm64` at a release. Hence no syntax line (it would pull a
# frontend image), no heredoc and no cache mount. The build stage runs on the builder's own platform and
# cross-compiles.
#
# The tag names an exact version, not a digest: a digest names the bytes of one registry's copy, and the
# build must also work from a mirror and from scripts/go-image.sh, where no registry is available. The image that users run is
# still pinned: a release names the built image by its digest in action.yml.
ARG GO_IMAGE=golang:1.26.8-alpine

FROM --platform=${BUILDPLATFORM:-linux/amd64} ${GO_IMAGE} AS build
WORKDIR /src

COPY go.mod go.sum ./
RUN go mod download

COPY cmd ./cmd
COPY internal ./internal

# No defaults: BuildKit fills these in, and a default here would win over --platform in its older versions. With
# the classic builder both stay empty, which go build reads as "this machine".
ARG TARGETOS
ARG TARGETARCH
# What --version prints, and the first line of the log; scripts/reproducible.sh passes those of a release.
ARG VERSION=dev
ARG COMMIT=unknown
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT}" -o /out/hubspoke-chain ./cmd/hubspoke-chain \
    && ln -s hubspoke-chain /out/hubspoke-chain-post

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# The binary under two names: the runner distinguishes the stages of a step only by their entrypoint. Copy the directory:
# COPY of the link itself would follow it, and the image would contain the binary twice.
COPY --from=build /out/ /

# No USER: the runner's command files belong to another uid, and only root can append to them. No shell anywhere:
# sh drops variables with a hyphen in the name, and INPUT_ROLE-TO-ASSUME is one.
ENTRYPOINT ["/hubspoke-chain"]
CMD ["action"]
