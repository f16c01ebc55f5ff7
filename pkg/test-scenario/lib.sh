# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034,SC2154
#
# What the scripts here share: $pkg is the command, $work their folder.
root=$work/root
passed=0 failed=0
export SOURCE_DATE_EPOCH=1700000000

p() { "$pkg" --root "$root" --arch any "$@"; }

good() { passed=$((passed + 1)); }
bad()
{
	failed=$((failed + 1))
	echo "FAILED $*"
	sed 's|^|    . |; 20q' "$work/out"
}

# ok WHAT COMMAND…, and its output in $work/out
ok()
{
	what=$1
	shift
	if "$@" >"$work/out" 2>&1; then good; else bad "$what (status $?)"; fi
}

# fails WHAT STATUS TEXT COMMAND…: with that status and TEXT in its message
fails()
{
	what=$1 want=$2 text=$3
	shift 3
	"$@" >"$work/out" 2>&1
	got=$?
	if [ "$got" -eq "$want" ] && grep -qF -- "$text" "$work/out"; then good; else bad "$what (status $got, not $want, or not: $text)"; fi
}

says()
{
	if grep -qF -- "$2" "$work/out"; then good; else bad "$1: no '$2'"; fi
}

is() { if [ "$2" = "$3" ]; then good; else echo "'$2' instead of '$3'" >"$work/out"; bad "$1"; fi; }

# The root without pkg's own folders, and the list of packages.
state()
{
	(cd "$root" && find . -path ./var -prune -o -printf '%p %y %m %l\n' | sort &&
	    find . -path ./var -prune -o -type f -print0 | sort -z | xargs -0r sha256sum) 2>/dev/null
	p list 2>/dev/null
}

same() { state >"$work/after"; if cmp -s "$work/before" "$work/after"; then good; else diff "$work/before" "$work/after" >"$work/out"; bad "$1: the root changed"; fi; }

# package NAME VERSION [MANIFEST LINES…] from $work/files, which is emptied
package()
{
	name=$1 version=$2
	shift 2
	{
		printf 'name %s\nversion %s\narch any\nsummary the %s\nlicense MIT\n' "$name" "$version" "$name"
		for line; do echo "$line"; done
	} >"$work/template"
	mkdir -p "$work/files"
	"$pkg" --template "$work/template" --output "$repo" --key "$work/maker.key" create "$work/files" >"$work/out" 2>&1 ||
	    bad "create $name $version"
	rm -rf "$work/files"
}
put() { mkdir -p "$work/files/$(dirname "$1")" && printf '%s\n' "$2" >"$work/files/$1"; }
index() { (unset SOURCE_DATE_EPOCH; "$pkg" --key "$work/maker.key" repo build "$@") >"$work/out" 2>&1 || bad "repo build"; }
