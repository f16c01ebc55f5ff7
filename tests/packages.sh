#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Tries each program of the default profile, and of what tests/packages adds to it, at the prompt of a system made of it.
# Prints "ok NAME" or "FAIL NAME why", and at the end "N passed, N failed".  Runs on
# any arm64 Linux with the packages; writes only below a folder of its own.
work=$(mktemp -d)
cd "$work" || exit 1
passed=0 failed=0

try()		# NAME COMMAND…: it succeeds
{
	what=$1
	shift
	if "$@" >out 2>&1 </dev/null; then
		echo "ok $what"
		passed=$((passed + 1))
	else
		echo "FAIL $what: status $?: $(tail -n 3 out | tr '\n' '|')"
		failed=$((failed + 1))
	fi
}

says()		# NAME PATTERN COMMAND…: it prints what the pattern matches
{
	what=$1 pattern=$2
	shift 2
	"$@" >out 2>&1 </dev/null
	if grep -qE -e "$pattern" out; then
		echo "ok $what"
		passed=$((passed + 1))
	else
		echo "FAIL $what: $(head -n 3 out | tr '\n' '|')"
		failed=$((failed + 1))
	fi
}

# The file's bytes come back after a way through a compressor.
roundtrip()	# PACK UNPACK
{
	sh -c "$1" <text >packed && sh -c "$2" <packed >again && cmp text again &&
	    [ "$(wc -c <packed)" -lt "$(wc -c <text)" ]
}

i=0
while [ $i -lt 2000 ]; do
	echo "line $i of a text that repeats itself"
	i=$((i + 1))
done >text

archive()
{
	mkdir -p tree/deep && cp text tree/deep/ && ln -s deep/text tree/link &&
	    bsdtar -cf a.tar.zst --zstd tree && mkdir un && bsdtar -xf a.tar.zst -C un &&
	    cmp text un/tree/deep/text && [ "$(readlink un/tree/link)" = deep/text ]
}

bash_works()
{
	bash -c 'declare -A h=([a]=1 [b]=2); x=(p q r); [[ ${x[-1]} == r && ${h[b]} -eq 2 ]] &&
	    echo $((${#x[@]} + 2))' | grep -q '^5$'
}

less_works()
{
	TERM=vt100 less -FX /etc/hostname | grep -q .
}

make_works()
{
	printf 'all: b\nb: a\n\tcp a b\na:\n\techo made >a\n' >Makefile
	/usr/bin/make -j2 -s all && [ "$(cat b)" = made ] && /usr/bin/make -q all
}

ext4_works()
{
	mkdir -p source/sub && cp text source/sub/ && /usr/sbin/mke2fs -q -F -t ext4 -d source disk.ext4 16M &&
	    /usr/sbin/e2fsck -fn disk.ext4 && /usr/sbin/debugfs -R 'dump /sub/text back' disk.ext4 && cmp text back
}

fat_works()
{
	dd if=/dev/zero of=fat.img bs=1M count=40 2>/dev/null && /usr/sbin/mkfs.fat -F 32 -n TESSERA fat.img &&
	    mcopy -i fat.img text ::/TEXT.TXT && mdir -i fat.img ::/ && mtype -i fat.img ::/TEXT.TXT >back &&
	    cmp text back && /usr/sbin/fsck.fat -n fat.img
}

sqlite_works()
{
	sqlite3 t.db "create table t(a, b); insert into t values(1, 'x'), (2, 'y');" &&
	    [ "$(sqlite3 t.db 'select group_concat(b) from t where a > 0')" = x,y ] &&
	    [ "$(sqlite3 t.db 'pragma integrity_check')" = ok ]
}

curl_works()
{
	curl -sS "file://$work/text" -o fetched && cmp text fetched
}

keys_work()
{
	dropbearkey -t ed25519 -f key && dropbearkey -y -f key | grep -q ssh-ed25519
}

says busybox BusyBox busybox
try toybox-sum sh -c '[ "$(toybox sha256sum <text)" = "$(busybox sha256sum <text)" ]'
try bash bash_works
# Opens a pipe by /dev/fd.
try bash-substitutes-processes timeout 30 bash -c 'diff <(echo one) <(echo one)'
says nano 'GNU nano, version 8' nano --version
try less less_works
try xz roundtrip 'xz -c' 'xz -dc'
try zstd roundtrip 'zstd -c' 'zstd -dc'
try bsdtar archive
try sqlite sqlite_works
try ext4 ext4_works
try fat fat_works
says curl-tls mbedTLS curl --version
try curl curl_works
says certificates 'BEGIN CERTIFICATE' head -n 2 /etc/ssl/certs/ca-certificates.crt
try dropbearkey keys_work
says dropbear 'Dropbear .*v20' dropbear -V
[ ! -x /usr/bin/make ] || try make make_works
[ ! -x /usr/bin/pkgconf ] || says pkgconf '^1\.3' pkgconf --modversion zlib
cd / && rm -rf "$work"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
