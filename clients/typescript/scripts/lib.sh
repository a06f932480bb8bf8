# Shared by the scripts of this directory; sourced. Says nothing unless something is made.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "$here/.build"
# One at a time: drivers are started side by side.
exec 9>"$here/.build/lock"
if command -v flock >/dev/null; then flock 9; fi

# SHA-256 over the names and bytes of files.
fingerprint() { (cd "$root" && find "$@" -type f -not -path '*/gen/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum); }

# is_done NAME FINGERPRINT, done_now NAME FINGERPRINT: what a step was last made from.
is_done() { [ -f "$here/.build/$1.stamp" ] && [ "$(cat "$here/.build/$1.stamp")" = "$2" ]; }
done_now() { printf '%s\n' "$2" >"$here/.build/$1.stamp"; }

install() {
  local wanted
  wanted=$(fingerprint clients/typescript/package-lock.json)
  if is_done install "$wanted" && [ -d "$here/node_modules" ]; then return; fi
  (cd "$here" && nice -n 15 npm ci --ignore-scripts --silent --loglevel=error) >&2
  done_now install "$wanted"
}

generate() {
  local wanted
  wanted=$(fingerprint proto/registry_grpc clients/typescript/package-lock.json clients/typescript/buf.gen.yaml)
  if is_done generate "$wanted" && [ -d "$here/src/gen" ]; then return; fi
  generate_into "$here/src/gen"
  done_now generate "$wanted"
}

generate_into() {
  # scripts/buf installs the pinned buf and copies google/api/*.proto.
  if [ ! -x "$root/node_modules/.bin/buf" ] || [ ! -f "$root/.build/googleapis/google/rpc/error_details.proto" ]; then
    "$root/scripts/buf" lint >&2
  fi
  (cd "$root" && nice -n 15 node_modules/.bin/buf generate . --template clients/typescript/buf.gen.yaml \
    --path proto/registry_grpc --path .build/googleapis/google/rpc/error_details.proto --output "$1")
}

# build NAME DIRECTORIES PROJECTS: compiles the library, and what of the rest is wanted.
build() {
  install
  generate
  local name=$1 directories=$2 projects=$3 wanted names
  # shellcheck disable=SC2086 # lists of words
  wanted=$(cd "$here" && fingerprint $(printf 'clients/typescript/%s ' $directories package.json package-lock.json \
    tsconfig.base.json $projects) proto/registry_grpc)
  if is_done "$name" "$wanted" && [ -d "$here/dist" ]; then return; fi
  names=$(cd "$here" && find src conformance examples tests -name '*.ts' | LC_ALL=C sort | sha256sum)
  if ! is_done names "$names"; then
    # What was made from a file that is gone would stay, and be published or run.
    (cd "$here" && rm -rf dist .build/{conformance,examples,tests,*.tsbuildinfo,all.stamp,driver.stamp})
  fi
  # shellcheck disable=SC2086
  (cd "$here" && nice -n 15 node_modules/.bin/tsc --build $projects) >&2
  done_now names "$names"
  done_now "$name" "$wanted"
}

# The driver does without the tests: it is also built against earlier contracts.
build_driver() { build driver "src conformance" "tsconfig.json tsconfig.conformance.json"; }
build_all() { build all "src conformance examples tests" "tsconfig.json tsconfig.conformance.json tsconfig.tools.json"; }
