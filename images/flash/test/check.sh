#!/bin/sh
# SPDX-License-Identifier: MIT
#
# flash on files that stand for disks: what it refuses, and what it writes.
set -u
export LC_ALL=C
passed=1 failed=0	# flash-test itself
work=$OUT/check
rm -rf "$work"
mkdir -p "$work/proc/self" "$work/sys/class/block"
cd "$work" || exit 1
ln -s "$OUT/flash-test" flash
export FLASH_ROOT="$work"

# says NAME STATUS WORDS COMMAND…: the command ends so, and says the words.
says()
{
	name=$1 status=$2 words=$3
	shift 3
	"$@" >log 2>&1
	ended=$?
	if [ $ended -eq "$status" ] && { [ -z "$words" ] || grep -q -e "$words" log; }; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED $name: status $ended, wanted $status and \"$words\""
		cat log
	fi
}

# disk NAME REMOVABLE: a file of 8 MiB that holds something, and its sysfs.
disk()
{
	mkdir -p "sys/class/block/$1/device"
	echo "$2" >"sys/class/block/$1/removable"
	echo "8:16" >"sys/class/block/$1/dev"
	echo "ACME    " >"sys/class/block/$1/device/vendor"
	echo "Stick 2000      " >"sys/class/block/$1/device/model"
	head -c 8388608 /dev/urandom >"$1"
}

part()	# DISK NUMBER
{
	mkdir -p "sys/class/block/$1/$1$2"
	echo "$2" >"sys/class/block/$1/$1$2/partition"
	echo "8:$((16 + $2))" >"sys/class/block/$1/$1$2/dev"
	ln -s "$1/$1$2" "sys/class/block/$1$2"
}

# An image: something that says that it is a partition table, data, holes, and an odd end.
{
	head -c 512 /dev/zero
	printf 'EFI PART'
	head -c 1048576 /dev/urandom
} >image
truncate -s 4194304 image
head -c 700000 /dev/urandom >>image
truncate -s 6000000 image
printf 'end' >>image
xz -k -1 image
zstd -q -k image -o image.zst
zstd -q <image >unsized.zst
: >empty
head -c 100000 /dev/urandom >noise
head -c 1500000 image.xz >torn.xz
head -c 900000 image.zst >torn.zst
truncate -s 8388609 large
printf 'EFI PART' | dd of=large bs=512 seek=1 conv=notrunc status=none
zstd -q -k large -o large.zst
zstd -q <large >large-unsized.zst
: >proc/self/mountinfo
: >proc/swaps

holds()	# FILE: the disk begins with the image
{
	cmp -n 6000003 image "$1"
}

disk sdb 1
says a_stick_is_written 0 'verified: 6 MiB' ./flash -y image sdb
says it_holds_the_image 0 '' holds sdb
says zeros_are_zero_on_the_disk 0 '' sh -c 'cmp -n 2000000 -i 2000000:2000000 image sdb'
says the_last_sector_is_filled_up 0 '' sh -c '[ "$(dd if=sdb bs=1 skip=6000003 count=125 status=none | tr -d "\000" | wc -c)" -eq 0 ]'
says an_old_table_at_the_end_is_gone 0 '' sh -c '[ "$(tail -c 65536 sdb | tr -d "\000" | wc -c)" -eq 0 ]'
says what_is_behind_the_image_stays 0 '' sh -c '[ "$(tail -c 1000000 sdb | head -c 900000 | tr -d "\000" | wc -c)" -gt 800000 ]'
says zeros_are_not_written_twice 0 'empty and empty on the disk before' ./flash -y image sdb
disk sdb 1
says xz_is_unpacked 0 'verified: 6 MiB' ./flash -y image.xz sdb
says xz_holds_the_image 0 '' holds sdb
disk sdb 1
says zstd_is_unpacked 0 'verified: 6 MiB' ./flash -y image.zst sdb
says zstd_holds_the_image 0 '' holds sdb
disk sdb 1
says zstd_from_a_pipe_is_unpacked 0 'verified: 6 MiB' ./flash -y unsized.zst sdb

# ---- asking
disk sdb 1
says model_and_size_are_shown 1 'sdb, ACME Stick 2000, 0.0 GB' sh -c 'echo n | ./flash image sdb'
says another_answer_writes_nothing 1 'nothing was written' sh -c 'echo sdc | ./flash image sdb'
says no_answer_writes_nothing 1 'nothing was written' ./flash image sdb </dev/null
says nothing_was_written_so_far 0 'EOF\|differ' sh -c '! cmp -n 6000003 image sdb'
says the_name_is_the_answer 0 'verified' sh -c 'echo sdb | ./flash image sdb'

# ---- disks that are not meant
disk sda 0
cp sda before
says a_fixed_disk_is_refused 1 'cannot be taken out' ./flash -y image sda
part sdb 1
part sdb 2
: >sdb1
says a_partition_is_refused 1 'sdb1: is a partition' ./flash -y image sdb1
printf '36 25 8:18 / /media/card rw - ext4 /dev/sdb2 rw\n' >proc/self/mountinfo
says a_mounted_partition_is_named 1 'sdb2 is mounted on /media/card' ./flash -y image sdb
: >proc/self/mountinfo
printf 'Filename Type\n/dev/sdb1 partition 1 0 -2\n' >proc/swaps
says swap_space_is_named 1 'sdb1 is swap space' ./flash -y image sdb
: >proc/swaps
mkdir -p sys/class/block/sdb/sdb1/holders/dm-0
says a_part_of_a_volume_is_named 1 'sdb1 belongs to dm-0' ./flash -y image sdb
says even_with_a_volume_if_told 0 'verified' ./flash -f -y image sdb
rm -rf sys/class/block/sdb/sdb1/holders
disk mmcblk0 0
echo MMC >sys/class/block/mmcblk0/device/type
says a_soldered_chip_is_refused 1 'cannot be taken out' ./flash -y image mmcblk0
echo SD >sys/class/block/mmcblk0/device/type
says a_card_is_taken 0 'verified' ./flash -y image mmcblk0
mkdir -p sys/devices/pci0/usb1/sdd/device
echo 0 >sys/devices/pci0/usb1/sdd/removable
ln -s ../../devices/pci0/usb1/sdd sys/class/block/sdd
head -c 8388608 /dev/zero >sdd
says a_disk_on_usb_is_taken 0 'verified' ./flash -y image sdd
says a_fixed_disk_is_untouched 0 '' cmp sda before
says a_fixed_disk_is_written_if_told 0 'verified' ./flash -f -y image sda
says a_folder_is_refused 1 'is not a block device' ./flash -y image proc
says a_terminal_is_refused 1 'is not a block device' ./flash -y image /dev/null
says a_missing_disk_is_named 1 'nodisk: No such file' ./flash -y image nodisk
disk sde 1
: >sde
says an_empty_reader_is_named 1 'there is no medium in it' ./flash -y image sde

# ---- images that are none
disk sdb 1
cp sdb before
says a_small_disk_is_refused 1 'sdb has 8 MiB, the image needs 8' ./flash -y large sdb
says a_small_disk_is_refused_even_if_told 1 'the image needs' ./flash -f -y large sdb
says a_small_disk_is_refused_for_zstd 1 'the image needs' ./flash -y large.zst sdb
says an_empty_image_is_refused 1 'empty: is empty' ./flash -y empty sdb
says noise_is_refused 1 'noise: is no image of a disk' ./flash -y noise sdb
says a_missing_image_is_named 1 'none: No such file' ./flash -y none sdb
says a_folder_is_no_image 1 'proc: is no file' ./flash -y proc sdb
says a_torn_xz_is_refused 1 'xz cannot unpack it' ./flash -y torn.xz sdb
says nothing_of_these_was_written 0 '' cmp sdb before
says a_torn_zstd_is_noticed 1 'zstd cannot unpack it' ./flash -y torn.zst sdb
says an_image_that_does_not_end_is_noticed 1 'is larger than' ./flash -y large-unsized.zst sdb
says a_missing_argument_gets_the_usage 2 '^usage' ./flash image
says an_unknown_option_gets_the_usage 2 '^usage' ./flash -x image sdb

cd / && rm -rf "$work"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
