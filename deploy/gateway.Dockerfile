# syntax=docker/dockerfile:1
# The REST gateway and the screens of the kiosk: two static programs and some pages, nothing else, not even a shell.
#
#   docker build -f deploy/gateway.Dockerfile -t rowlock-gateway .
#
# For builds that are the same for ever, name the base by its digest: --build-arg GO_IMAGE=golang@sha256:…

ARG GO_IMAGE=golang:1.26-bookworm

FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
# Set by the builder, for images of another kind of machine.
ARG TARGETOS TARGETARCH
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=readonly
WORKDIR /src
# The modules change less often than the code: a layer of their own. go.sum has the digest of each.
COPY gen/go/go.mod gen/go/go.sum gen/go/
COPY gen/openapi/go.mod gen/openapi/
COPY gateway/go.mod gateway/go.sum gateway/
RUN --mount=type=cache,target=/go/pkg/mod \
    cd gateway && go mod download
COPY gen/go gen/go
COPY gen/openapi gen/openapi
COPY gateway gateway
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    cd gateway && GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags="-s -w" -o /out/ . ./healthcheck

FROM scratch
LABEL org.opencontainers.image.title="Rowlock gateway" org.opencontainers.image.licenses="Apache-2.0"
COPY LICENSE /
COPY --from=build /out/gateway /out/healthcheck /
COPY clients/kiosk /kiosk
ENV ROWLOCK_GATEWAY_ADDRESS=0.0.0.0:8080 \
    ROWLOCK_GATEWAY_METRICS_ADDRESS=0.0.0.0:9480 \
    ROWLOCK_GATEWAY_KIOSK_DIR=/kiosk \
    ROWLOCK_LOG_FORMAT=json
USER 10001:10001
EXPOSE 8080 9480
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 CMD ["/healthcheck"]
ENTRYPOINT ["/gateway"]
