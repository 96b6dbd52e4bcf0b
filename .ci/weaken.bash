# Sourced by the scripts that test tests: each weakening changes a line of a production file, in a copy of the
# tree, and a test that guards that line has to fail. The tree is never changed itself.
#
# The script that sources this sets `copy`, a folder for the copy, and `pattern`, what is in the names of those that
# are wanted. What tests it runs it runs by way of `timeout "$seconds_max"`.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
output=$copy/output
# A weakening can make a test endless.
seconds_max=${seconds_max:-300}
failures=0
weakened=0

copy_tree() {
    mkdir -p "$copy"
    # Modified now: a file left weakened by an earlier run must not pass for built.
    tar -C "$root" --exclude=./target --exclude=./.git -cf - . | tar -C "$copy" -xmf -
}

report() {
    printf '%-4s %s: %s\n' "$1" "$2" "$3"
    if [[ $1 == FAIL ]]; then
        failures=$((failures + 1))
    fi
}

# weaken_file NAME FILE SED BUILD TEST WHY: with the extended sed script SED applied to FILE, the function BUILD
# succeeds, and the function TEST fails; the function WHY then prints what it found.
weaken_file() {
    local name=$1 file=$2 script=$3 build=$4 test=$5 why=$6 found
    if [[ $name != *"$pattern"* ]]; then
        return
    fi
    weakened=$((weakened + 1))
    sed -E "$script" "$root/$file" >"$copy/$file"
    if cmp --silent "$root/$file" "$copy/$file"; then
        report FAIL "$name" "the weakening changes nothing in $file"
    elif ! "$build" >"$output" 2>&1; then
        report FAIL "$name" "the weakening does not compile, see $output"
        exit 1
    else
        local status=0
        "$test" >"$output" 2>&1 || status=$?
        if [[ $status == 0 ]]; then
            report FAIL "$name" "nothing notices"
        elif [[ $status == 124 ]]; then
            report FAIL "$name" "the test does not end within $seconds_max s"
        else
            found=$("$why" "$output")
            report OK "$name" "${found:0:120}"
        fi
    fi
    # Copied anew rather than with its old time, for the same reason as in copy_tree.
    cp "$root/$file" "$copy/$file"
}

# What weakenings came to; fails if one went unnoticed.
finish() {
    echo "$weakened weakenings, $failures failed"
    [[ $failures == 0 ]]
}
