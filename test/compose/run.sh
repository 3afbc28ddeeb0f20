#!/usr/bin/env bash
# Really runs docker-compose.yml: builds the image, starts Redis, three nodes
# and the balancer, has official JavaScript clients talk across nodes, stops a
# node under them, starts it again, and takes everything down.
#
#   test/compose/run.sh            base images that are missing get local stand-ins
#   IMAGES=registry run.sh         pull the real ones first
#   KEEP_IMAGES=1 run.sh           leave the stand-ins for another run
set -euo pipefail
cd "$(dirname "$0")/../.."

# The whole run is bounded: timeout lets the trap below clean up, then kills.
if [[ ${BOUNDED:-} != yes ]]; then
  BOUNDED=yes exec timeout --kill-after=60 900 bash test/compose/run.sh
fi

missing=()
docker version >/dev/null 2>&1 || missing+=("a Docker engine that answers (Debian: apt install docker.io, then start dockerd)")
compose=(docker-compose)
if docker compose version >/dev/null 2>&1; then compose=(docker compose); fi
command -v "${compose[0]}" >/dev/null || missing+=("docker-compose (Debian: apt install docker-compose)")
command -v node >/dev/null || missing+=("Node.js 20 or later")
[[ -d test/interop/node_modules ]] || missing+=("the JavaScript clients (npm --prefix test/interop ci)")
if [[ ${IMAGES:-} != registry ]]; then
  for tool in redis-server haproxy go; do
    command -v "$tool" >/dev/null || missing+=("$tool, to build a stand-in from, or IMAGES=registry")
  done
fi
if ((${#missing[@]} > 0)); then
  printf 'SKIP compose: missing %s\n' "${missing[@]}"
  if [[ ${CI:-} == true ]]; then exit 1; fi
  exit 0
fi

# Without buildx the engine's own builder does it.
if ! docker buildx version >/dev/null 2>&1; then
  export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0
fi
export COMPOSE_PROJECT_NAME=dunlin-test-$$
PORT=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')
export PORT

made=()
cleanup() {
  local status=$?
  trap - EXIT
  if ((status != 0)); then
    echo "--- logs of the containers" >&2
    "${compose[@]}" logs --no-color --tail=40 >&2 || true
  fi
  "${compose[@]}" down --volumes --timeout 5 >/dev/null 2>&1 || true
  if [[ ${KEEP_IMAGES:-} != 1 ]]; then
    for image in "${made[@]}"; do docker image rm --force "$image" >/dev/null || true; done
  fi
  exit "$status"
}
trap cleanup EXIT
trap 'exit 143' TERM INT

if [[ ${IMAGES:-} == registry ]]; then
  docker pull --quiet "$(sed -n 's/^ARG GO_IMAGE=//p' Dockerfile)"
  "${compose[@]}" pull redis balancer
else
  echo "base images that are missing get stand-ins"
  mapfile -t made < <(bash test/compose/stand-ins.sh)
  wait $! # the status of the script above
fi

echo "build"
"${compose[@]}" build
user=$(docker image inspect --format '{{.Config.User}}' dunlin)
if [[ ${user:-0} == 0* || $user == root* ]]; then
  echo "the image runs as root" >&2
  exit 1
fi

echo "start"
"${compose[@]}" up -d
deadline=$((SECONDS + 90))
until curl --fail --silent --max-time 2 "http://127.0.0.1:$PORT/readyz" >/dev/null; do
  if ((SECONDS > deadline)); then
    echo "no node was ready behind the balancer within 90 s" >&2
    exit 1
  fi
  sleep 0.5
done

published=$(docker ps --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --format '{{.Ports}}')
if grep -Eq '(0\.0\.0\.0|\[?::\]?):[0-9]+->' <<<"$published"; then
  echo "a port is published beyond loopback: $published" >&2
  exit 1
fi

node test/compose/clients.mjs "http://127.0.0.1:$PORT" "${compose[@]}"
echo "compose: ok"
