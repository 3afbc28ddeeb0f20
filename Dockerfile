# The production node: docker build -t dunlin .
# The base image is an argument so that a mirror can take its place.
ARG GO_IMAGE=golang:1.26-bookworm

FROM ${GO_IMAGE} AS build
WORKDIR /src
# Dependencies change seldom: they get a layer of their own.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/dunlin ./cmd/node

# The binary is static. It needs the certificates to reach Redis over TLS, and
# nothing else: no shell, no package manager, no user but an unprivileged one.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/dunlin /usr/local/bin/dunlin
USER 65532:65532
# Loopback, the default of the program, would be unreachable in a container.
ENV DUNLIN_ADDR=0.0.0.0:3000
EXPOSE 3000
# No HEALTHCHECK: whoever balances or orchestrates asks /readyz and /livez.
ENTRYPOINT ["dunlin"]
CMD ["serve"]
