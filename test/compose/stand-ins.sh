#!/usr/bin/env bash
# Builds local stand-ins for the base images of docker-compose.yml and the
# Dockerfile, for machines that reach no image registry: this machine's own
# redis-server, haproxy and Go toolchain, each with the libraries it loads, in a
# file system of its own. An image that is already there is left alone.
# Prints the name of every image it made.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

# add ROOT PROGRAM...: the programs and every library the loader finds for them.
add() {
  local root=$1 program library
  shift
  for program; do
    program=$(command -v "$program")
    install -D "$(readlink -f "$program")" "$root/usr/bin/$(basename "$program")"
    { ldd "$program" 2>/dev/null || true; } | grep -o '/[^ ]*' | while read -r library; do
      mkdir -p "$root$(dirname "$library")"
      cp -L "$library" "$root$library"
    done
  done
}

# import ROOT IMAGE CHANGE...: makes the folder an image.
import() {
  local root=$1 image=$2 changes=() change
  shift 2
  for change; do changes+=(-c "$change"); done
  mkdir -p "$root/tmp" "$root/etc"
  chmod 1777 "$root/tmp"
  tar -C "$root" -c . | docker import -c 'LABEL dunlin.stand-in=true' "${changes[@]}" - "$image" >/dev/null
  rm -rf "$root"
  echo "$image"
}

missing() { ! docker image inspect "$1" >/dev/null 2>&1; }

redis=$(sed -n 's/^ *image: \(redis:.*\)/\1/p' docker-compose.yml)
haproxy=$(sed -n 's/^ *image: \(haproxy:.*\)/\1/p' docker-compose.yml)
golang=$(sed -n 's/^ARG GO_IMAGE=//p' Dockerfile)

if missing "$redis"; then
  add "$work/redis" redis-server redis-cli
  import "$work/redis" "$redis" 'CMD ["redis-server", "--protected-mode", "no"]' 'EXPOSE 6379'
fi

if missing "$haproxy"; then
  add "$work/haproxy" haproxy
  import "$work/haproxy" "$haproxy" \
    'CMD ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]'
fi

if missing "$golang"; then
  root=$work/golang
  add "$root" sh
  mkdir -p "$root/bin" "$root/usr/local" "$root/etc/ssl/certs" "$root/root"
  cp "$root/usr/bin/sh" "$root/bin/sh"
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  cp -r "$(go env GOROOT)" "$root/usr/local/go"
  # The modules of go.mod, as a module proxy on disk: the build needs no network.
  go mod download
  proxy=file://$(go env GOMODCACHE)/cache/download
  GOMODCACHE=$work/modules GOFLAGS=-modcacherw GOPROXY=$proxy go mod download
  mv "$work/modules/cache/download" "$root/modules"
  import "$root" "$golang" 'ENV GOPROXY=file:///modules' 'ENV GOTOOLCHAIN=local' 'ENV HOME=/root' \
    'ENV PATH=/usr/local/go/bin:/usr/bin:/bin'
fi
