#!/usr/bin/env bash
# The steps of action.yml, one subcommand each: program, build, measure, end.
#
# All input comes from the environment (GATE_…, GITHUB_…, RUNNER_…) and is passed on as whole arguments: nothing is split at
# spaces, expanded or evaluated. It also runs by hand, without GitHub's variables:
#
#   GATE_PROGRAM=photofinish GATE_SCENARIO=http-get GATE_BASE_SERVER='./old --port {port}' \
#       GATE_HEAD_SERVER='./new --port {port}' bash .github/gate.sh measure
set -euo pipefail

# For files that later steps read.
temporary="${RUNNER_TEMP:-${TMPDIR:-/tmp}}"

# Sets the output NAME=VALUE. A line break in it would begin another output.
put() {
    local value=${2//$'\n'/ }
    printf '%s=%s\n' "$1" "$value" >>"${GITHUB_OUTPUT:-/dev/stdout}"
}

complain() {
    local message=${1//%/%25}
    message=${message//$'\r'/%0D}
    printf '::error title=Photofinish gate::%s\n' "${message//$'\n'/%0A}"
}

# Appends the non-blank lines of $2, trimmed, to the array named $1.
lines_into() {
    local -n into=$1
    local line
    while IFS= read -r line || [ -n "$line" ]; do
        line=${line#"${line%%[![:space:]]*}"}
        line=${line%"${line##*[![:space:]]}"}
        if [ -n "$line" ]; then into+=("$line"); fi
    done <<<"$2"
}

# Outputs the program to run: the given one, or a build of this revision with its key in the cache.
program() {
    local named=${GATE_PHOTOFINISH:-} found sources toolchain
    if [ -n "$named" ]; then
        if ! found=$(command -v -- "$named"); then
            complain "program not found: $named"
            exit 1
        fi
        put program "$(realpath -- "$found")"
        return
    fi
    sources=$(cd "$GITHUB_ACTION_PATH" &&
        find Cargo.toml Cargo.lock harness scenarios servers reports cli -type f -not -path '*/target/*' -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
    toolchain=$(printf '%s' "$(rustc -vV)${ImageOS:-}" | sha256sum)
    put directory "$temporary/photofinish"
    put program "$temporary/photofinish/bin/photofinish"
    put key "photofinish-${RUNNER_OS:-}-${RUNNER_ARCH:-}-${toolchain:0:16}-${sources:0:32}"
}

build() {
    if [ -x "$GATE_PROGRAM" ]; then
        "$GATE_PROGRAM" --version
        return
    fi
    cargo install --locked --path "$GITHUB_ACTION_PATH/cli" --root "${GATE_PROGRAM%/bin/photofinish}"
}

# Runs the gate and publishes the verdict as outputs, annotations and summary. The gate's exit code goes to the last step, so
# that the report is uploaded first.
measure() {
    local directory verdict name value code=0 run='' silence
    local -a scenarios=() limits=() further=() options=()
    lines_into scenarios "${GATE_SCENARIO:-}"
    lines_into limits "${GATE_LIMITS:-}"
    lines_into further "${GATE_ARGUMENTS:-}"
    for name in base-server head-server server-url base-exe head-exe base-rev server bin example baseline baselines; do
        value=${name^^}
        value=GATE_${value//-/_}
        value=${!value:-}
        if [ -n "$value" ]; then options+=("--$name=$value"); fi
    done
    for value in "${limits[@]}"; do options+=("--limit=$value"); done
    directory=$(mktemp -d "$temporary/photofinish-gate.XXXXXX")
    options+=("--out=$directory" "--write=json=$directory/gate.json" "--write=markdown=$directory/gate.md"
        "--write=junit=$directory/gate.xml" "--write=annotations=$directory/annotations.txt")

    # The output of servers and builds must not be taken for commands to the runner.
    silence=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    printf '::stop-commands::%s\n' "$silence"
    "$GATE_PROGRAM" gate "${options[@]}" "${further[@]}" -- "${scenarios[@]}" 2>&1 || code=$?
    printf '::%s::\n' "$silence"

    verdict=$(verdict "$directory/gate.json" "$code")
    if [ -e "$directory/latest/record.json" ]; then
        run=$(realpath -- "$directory/latest")
        for name in gate.json gate.md gate.xml; do
            if [ -e "$directory/$name" ]; then mv -- "$directory/$name" "$run/"; fi
        done
    fi
    put code "$code"
    put verdict "$verdict"
    put report "$run"
    if [ -e "$directory/annotations.txt" ]; then cat -- "$directory/annotations.txt"; fi
    if [ -n "$run" ] && [ -e "$run/gate.md" ]; then
        cat -- "$run/gate.md" >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
    else
        printf '## Gate: %s\n\nThere is no verdict (exit code %s); see the log of the step for the reason.\n' \
            "$verdict" "$code" >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
        complain "no verdict (exit code $code): see the log of the step"
    fi
}

# The verdict in the report $1, or the one implied by the exit code $2.
verdict() {
    local found=''
    # The report's own verdict is the only one indented by two spaces.
    if [ -e "$1" ]; then found=$(sed -n 's/^  "verdict": "\([a-z]*\)",\{0,1\}$/\1/p' "$1"); fi
    if [ -z "$found" ]; then
        case $2 in
        4) found=unfit ;;
        *) found=failed ;;
        esac
    fi
    printf '%s' "$found"
}

case ${1:-} in
program) program ;;
build) build ;;
measure) measure ;;
end) exit "$GATE_CODE" ;;
*)
    echo 'usage: gate.sh program|build|measure|end' >&2
    exit 2
    ;;
esac
