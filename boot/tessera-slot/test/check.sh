#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The command tessera-slot on image files, after upgrade-test, which left its counts.
set -u
export LC_ALL=C
read -r passed failed <"$OUT/counts"
work=$OUT/check
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 1
ln -s "$OUT/upgrade-test" tessera-slot

# says NAME STATUS WORDS COMMAND…: the command ends so, and says the words.
says()
{
	name=$1 status=$2 words=$3
	shift 3
	"$@" >log 2>&1
	ended=$?
	if [ $ended -eq "$status" ] && grep -q -e "$words" log; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED $name: status $ended, wanted $status and \"$words\""
		cat log
	fi
}

slot()
{
	./tessera-slot --disk disk.img --facts facts "$@"
}

# boots A|B: what runs is that slot from now on.
runs()
{
	printf 'slot %s\ntrial no\ndisk 54455353-4f4c-5402-8000-00000000000f\n' "$1" >facts
}

# Programs whose load segment is the file itself, as small as they come.
elf()	# TYPE
{
	printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0'
	printf '%b\0\267\0\1\0\0\0' "$1"
	printf '\020\020\0\0\0\0\0\0\100\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\100\0\070\0\1\0\0\0\0\0\0\0'
	printf '\1\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0\0\020\0\0\0\0\0\0\0\020\0\0\0\0\0\0'
	printf '\0\001\0\0\0\0\0\0\0\001\0\0\0\0\0\0\0\020\0\0\0\0\0\0'
	printf '%0400d' "${2:-0}"
}
# A loader of one section, at 512.
pe()		# BYTE SIZE
{
	head -c "$2" /dev/zero | tr '\0' "$1" >pe.body
	printf 'MZ%058d' 0 | tr 0 '\0'
	printf '\200\0\0\0%064d' 0 | sed 's/0/\x00/g'
	printf 'PE\0\0\144\252\1\0'
	printf '%012d\360\0\0\0' 0 | sed 's/0/\x00/g'
	printf '\013\2'
	printf '%014d\0\020\0\0%036d\0\0\1\0%08d\012\0' 0 0 0 | sed 's/0/\x00/g'
	printf '%0170d' 0 | sed 's/0/\x00/g'
	printf '.text\0\0\0\0\020\0\0\0\020\0\0\0\020\0\0\0\2\0\0%016d' 0 | sed 's/0/\x00/g'
	printf '%080d' 0 | sed 's/0/\x00/g'
	cat pe.body
}
elf '\003' 1 >kernel.elf
elf '\003' 2 >kernel2.elf
elf '\002' >init
seq 1 300000 >text
"$MKBUNDLE" -o base.bundle init=init text=text || exit 1
pe a 5000 >loader
pe b 90000 >loader2
"$MKIMAGE" -o disk.img --loader loader --kernel kernel.elf --bundle base.bundle --cmdline "from the image" \
    --label first || exit 1
runs A

says status_shows_the_running_slot 0 '^A runs  good .*"first", kernel 520 bytes' slot status
says status_says_what_comes_next 0 '^next start: A$' slot status
says an_empty_slot_is_named 1 '^B damaged: header: wrong magic' slot verify
says write_says_what_is_next 0 'slot B is written: "second"' slot --label second write kernel2.elf base.bundle
says what_is_written_waits 0 '^next start: A$' slot status
says both_slots_are_whole 0 '^B whole: "second"' slot verify
says activate_gives_a_trial 0 'slot B gets a trial' slot activate
says the_trial_comes_first 0 '^next start: B, then A$' slot status
says the_command_line_is_kept 0 '^B .*on trial.*"second".*command line "from the image"' slot status
says the_tools_agree 0 'preferred B, A good, tries 0, B trial, tries 1' \
    sh -c 'dd if=disk.img bs=1M skip=165 count=1 status=none >state && "$MKSLOT" --show state'
says mkslot_finds_the_slot_whole 0 'label "second"' \
    sh -c 'dd if=disk.img bs=1M skip=101 count=64 status=none >slot && "$MKSLOT" --show slot'
runs B
sed -i 's/trial no/trial yes/' facts
says the_new_slot_is_found_good 0 'slot B ("second") came up and is good' slot boot
says init_was_told 0 '^good' cat facts
runs B
says then_there_is_nothing_to_say 0 '^$' sh -c './tessera-slot --disk disk.img --facts facts boot; echo'
says an_upgrade_to_what_runs_does_nothing 0 'slot B, which runs, has this' \
    slot upgrade kernel2.elf base.bundle
echo "third 3" >label
says an_upgrade_takes_the_label_beside_the_kernel 0 'slot A has "third 3"' slot upgrade ./kernel.elf base.bundle
says an_upgrade_twice_is_one 0 'slot A gets a trial' slot upgrade ./kernel.elf base.bundle
says a_trial_that_waits_for_its_start_stays 0 '^$' sh -c './tessera-slot --disk disk.img --facts facts boot; echo'
says it_is_still_the_next_one 0 '^next start: A, then B$' slot status
# What the loader notes before it starts A.
"$MKSLOT" -o state --sequence 99 --state A=trial:0,B=good --preferred A
dd if=state of=disk.img bs=1M seek=165 conv=notrunc status=none
says who_falls_back_says_so 0 'slot A ("first") did not come up and is bad now; slot B runs ("second")' slot boot
says a_bad_slot_is_not_tried 0 '^next start: B$' slot status
says an_upgrade_does_not_try_a_bad_slot_again 1 'slot A has this kernel and bundle and did not come up' \
    slot upgrade ./kernel.elf base.bundle
says a_bad_slot_may_be_tried_again 0 'slot A gets a trial' slot activate
says good_calls_it_off 0 'slot B is good' slot good
says after_that_it_is_not_tried 0 '^next start: B$' slot status

# ---- what is refused
says a_missing_kernel_is_named 1 'none: No such file' slot write none base.bundle
says a_folder_is_no_kernel 1 'Invalid argument' slot write . base.bundle
says a_text_is_no_kernel 1 'kernel: ' slot write text base.bundle
says a_kernel_is_no_bundle 1 'bundle: ' slot write kernel.elf kernel.elf
head -c 70000000 /dev/urandom >large
"$MKBUNDLE" -o large.bundle init=init large=large
says a_large_bundle_is_refused 1 'slot A has 67108864' slot write kernel.elf large.bundle
says a_missing_disk_is_named 1 'none.img: No such file' ./tessera-slot --disk none.img --facts facts status
says a_file_without_table_is_named 1 'text: no GUID partition table' ./tessera-slot --disk text --facts facts status
says a_folder_is_no_disk 1 'neither a disk nor an image' ./tessera-slot --disk . --facts facts status
head -c 50000000 disk.img >short.img
says a_short_image_is_named 1 'outside of the disk' ./tessera-slot --disk short.img --facts facts status
says an_unknown_disk_is_named 1 'no disk with slots has the GUID' ./tessera-slot --facts facts status
says without_facts_nothing_is_guessed 1 'none: No such file' ./tessera-slot --disk disk.img --facts none activate
echo "slot C" >odd
says facts_without_a_slot_are_refused 1 'does not say which slot runs' ./tessera-slot --facts odd --disk disk.img activate
says pkg_may_install_elsewhere 0 'no slot runs here' ./tessera-slot --facts none upgrade
says boot_is_silent_elsewhere 0 '^$' sh -c './tessera-slot --facts none boot; echo'
says an_unknown_command_gets_the_usage 2 '^usage' slot explode
says a_missing_argument_gets_the_usage 2 '^usage' slot write kernel.elf
says a_busy_disk_is_named 1 'another tessera-slot is at work' \
    flock disk.img ./tessera-slot --disk disk.img --facts facts activate

# ---- the loader
on_esp()	# NAME FILE
{
	MTOOLS_SKIP_CHECK=1 mtype -i disk.img@@1048576 "::/EFI/BOOT/$1" | cmp - "$2" && echo same
}
dd if=disk.img bs=1M skip=1 count=36 status=none >esp.before
says the_loader_is_not_written_twice 0 'the loader is this one already' slot loader loader
says nor_is_anything_else 0 same sh -c 'dd if=disk.img bs=1M skip=1 count=36 status=none | cmp - esp.before && echo same'
says a_loader_is_written 0 'one before it is .EFI.BOOT.PREVIOUS.EFI' slot loader loader2
says the_new_loader_is_there 0 same on_esp BOOTAA64.EFI loader2
says the_old_loader_is_kept 0 same on_esp PREVIOUS.EFI loader
says the_esp_is_whole 0 '5 files' sh -c 'dd if=disk.img bs=1M skip=1 count=36 status=none >esp && /usr/sbin/fsck.vfat -n esp'
says a_kernel_is_no_loader 1 'not a PE file' slot loader kernel.elf
head -c 3000 loader2 >half
says half_a_loader_is_none 1 'is it whole' slot loader half
says a_loader_needs_no_slot_elsewhere 0 'no slot runs here' ./tessera-slot --facts none loader loader
cp disk.img disk.whole
dd if=/dev/zero of=disk.img bs=512 count=1 seek=2080 conv=notrunc status=none
says a_damaged_esp_is_refused 1 'the EFI system partition is damaged: ' slot loader loader
mv disk.whole disk.img
cp disk.img disk2.img
sgdisk -n 5:166M:+512K -t 5:ef00 disk2.img >sgdisk.log 2>&1 || cat sgdisk.log
says two_esps_are_refused 1 'has two EFI system partitions' ./tessera-slot --disk disk2.img --facts facts loader loader

# ---- damage
dd if=/dev/zero of=disk.img bs=4096 count=1 seek=$((37 * 256 + 1)) conv=notrunc status=none
says an_upgrade_writes_a_damaged_slot_again 0 'slot A gets a trial' slot upgrade ./kernel.elf base.bundle
says and_calls_it_off_for_what_runs 0 'slot B, which runs' slot upgrade ./kernel2.elf base.bundle
printf x | dd of=disk.img bs=1 seek=$((37 * 1048576 + 5000)) conv=notrunc status=none
says damage_is_found 1 '^A damaged: content: wrong hash' slot verify
says a_damaged_slot_is_not_tried 1 'slot A: content: wrong hash' slot activate
printf x | dd of=disk.img bs=1 seek=$((101 * 1048576 + 5000)) conv=notrunc status=none
says two_damaged_slots_are_a_warning 1 'both slots are damaged' slot verify
says and_one_can_still_be_written 0 'slot A is written' slot write kernel.elf base.bundle
dd if=/dev/zero of=disk.img bs=1M seek=165 count=1 conv=notrunc status=none
says a_lost_state_is_named 0 'no valid record: A, then B' slot status
says a_lost_state_is_written_anew 0 'written anew' slot boot
dd if=/dev/zero of=disk.img bs=512 seek=1 count=1 conv=notrunc status=none
says the_copy_of_the_table_serves 0 '^B runs ' slot status

cd / && rm -rf "$work"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
