#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The loader's host tests after boot-test, called by `make check` with the
# programs' places in the environment: the tools and mkimage.
set -u
export LC_ALL=C
# boot-test has run and left its counts.
read -r passed failed <"$OUT/counts"
work=$OUT/check
rm -rf "$work"
mkdir -p "$work"

# expect NAME COMMAND…: the command succeeds.
expect()
{
	name=$1
	shift
	if "$@" >"$work/log" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED $name"
		cat "$work/log"
	fi
}

# refuse NAME WORDS COMMAND…: the command fails and says the words.
refuse()
{
	name=$1 words=$2
	shift 2
	if "$@" >"$work/log" 2>&1 || ! grep -q -- "$words" "$work/log"; then
		failed=$((failed + 1))
		echo "FAILED $name: no message with \"$words\""
		cat "$work/log"
	else
		passed=$((passed + 1))
	fi
}

kernel=$OUT/kernel.elf bundle=$work/base.bundle
long=$(printf '%0300d' 0)
seq 1 5000 >"$work/text"
: >"$work/empty"

# ---- mkbundle
bundle_again()
{
	"$MKBUNDLE" -o "$work/again" init="$OUT/init" text="$work/text" empty="$work/empty" &&
	    cmp "$bundle" "$work/again"
}
expect mkbundle_makes_a_bundle "$MKBUNDLE" -o "$bundle" init="$OUT/init" text="$work/text" empty="$work/empty"
expect mkbundle_is_reproducible bundle_again
refuse mkbundle_refuses_a_name_twice "text: there is a member" \
    "$MKBUNDLE" -o "$work/x" text="$work/text" text="$work/empty"
refuse mkbundle_refuses_a_long_name "1 to 47 bytes" "$MKBUNDLE" -o "$work/x" "$long=$work/text"
refuse mkbundle_refuses_no_name "1 to 47 bytes" "$MKBUNDLE" -o "$work/x" "=$work/text"
refuse mkbundle_names_a_missing_file "$work/none: No such file" "$MKBUNDLE" -o "$work/x" a="$work/none"
refuse mkbundle_refuses_too_many "more than 63 members" \
    "$MKBUNDLE" -o "$work/x" $(seq -f "n%g=$work/empty" 64)

# ---- mkslot
expect mkslot_makes_a_slot "$MKSLOT" -o "$work/slot" --kernel "$kernel" --bundle "$bundle" --cmdline "a b" --label l
expect mkslot_shows_what_it_made sh -c '"$MKSLOT" --show "$0/slot" | grep "command line \"a b\""' "$work"
refuse mkslot_refuses_a_long_command_line "command line" \
    "$MKSLOT" -o "$work/x" --kernel "$kernel" --bundle "$bundle" --cmdline "$long"
cp "$work/slot" "$work/torn"
printf x | dd of="$work/torn" bs=1 seek=6000 conv=notrunc status=none
refuse mkslot_sees_damage "content: wrong hash" "$MKSLOT" --show "$work/torn"
expect mkslot_makes_a_state "$MKSLOT" -o "$work/state" --state A=good,B=trial:3 --preferred B --sequence 9
expect mkslot_shows_the_state sh -c '"$MKSLOT" --show "$0/state" | grep "sequence 9, preferred B, A good, tries 0, B trial, tries 3"' "$work"

# ---- mkimage
image()
{
	"$MKIMAGE" --loader "$LOADER" --kernel "$kernel" --bundle "$bundle" --cmdline "one two" --label boot-test "$@"
}
expect mkimage_makes_an_image image -o "$work/one.img"
expect mkimage_is_reproducible sh -c 'sleep 2; exec "$@"' - "$MKIMAGE" --loader "$LOADER" --kernel "$kernel" \
    --bundle "$bundle" --cmdline "one two" --label boot-test -o "$work/two.img"
expect mkimage_gives_the_same_bytes cmp "$work/one.img" "$work/two.img"
expect partition_table_is_sound sh -c 'sgdisk -v "$0/one.img" | grep "No problems found"' "$work"
expect esp_holds_the_loader sh -c 'mtype -i "$0/one.img@@1M" ::/EFI/BOOT/BOOTAA64.EFI | cmp - "$LOADER"' "$work"
expect image_is_sparse sh -c '[ "$(du -k "$0/one.img" | cut -f1)" -lt 8192 ]' "$work"
refuse mkimage_names_a_missing_file "$work/none" \
    "$MKIMAGE" -o "$work/x" --loader "$work/none" --kernel "$kernel" --bundle "$bundle"
refuse mkimage_refuses_a_large_slot "larger than a slot" \
    "$MKIMAGE" -o "$work/x" --loader "$LOADER" --slot-a "$work/one.img"

rm -f "$work"/*.img
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
