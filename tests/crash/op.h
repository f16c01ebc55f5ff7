/* SPDX-License-Identifier: MIT */
/*
 * Operations of a workload, as text and as structures.  A workload is operations
 * separated by ";", each a word and its arguments separated by spaces:
 *
 *	creat P			mkdir P			symlink P TARGET
 *	write P OFFSET BYTES	append P BYTES		truncate P SIZE
 *	falloc P OFFSET BYTES	keep P OFFSET BYTES	punch P OFFSET BYTES
 *	zero P OFFSET BYTES	rename P Q		exchange P Q
 *	link P Q		unlink P		rmdir P
 *	open-unlink P		(the name goes, the inode stays: it is open)
 *	close			(all that is open without a name)
 *	tmpfile			(an inode without a name, which is open)
 *	setxattr P NAME BYTES	removexattr P NAME	chmod P MODE
 *	fsync P			fdatasync P		sync
 *	bg-fsync P		bg-sync			(begun, not waited for)
 *	poll N			(the disk finishes N requests)
 *	wait			(for what was begun)
 *	stat P			(which changes nothing, but fs looks at it)
 *	tick			(time passes, and old transactions are committed)
 *	trim			(what is free is discarded, where the disk can)
 *
 * The path "%" is the inode that was opened last without a name.
 */
#ifndef CRASH_OP_H
#define CRASH_OP_H

#include <stddef.h>
#include <stdint.h>

enum op_kind {
	OP_CREAT, OP_MKDIR, OP_SYMLINK, OP_WRITE, OP_APPEND, OP_TRUNCATE, OP_FALLOC, OP_KEEP, OP_PUNCH,
	OP_ZERO, OP_RENAME, OP_EXCHANGE, OP_LINK, OP_UNLINK, OP_RMDIR, OP_OPEN_UNLINK, OP_CLOSE,
	OP_TMPFILE, OP_SETXATTR, OP_REMOVEXATTR, OP_CHMOD, OP_FSYNC, OP_FDATASYNC, OP_SYNC, OP_TICK,
	OP_STAT, OP_BG_FSYNC, OP_BG_SYNC, OP_POLL, OP_WAIT, OP_TRIM,
	OP_KINDS,
};

enum { OP_PATH = 512 };

struct op {
	enum op_kind kind;
	char path[OP_PATH];
	char other[OP_PATH];		/* second path, target, name of the xattr */
	uint64_t offset, bytes;		/* bytes also: size, mode */
};

/* Reads a workload; *ops is malloc'ed.  Returns how many, or -1 with a line in
 * `why` (room for 200). */
int ops_parse(const char *text, struct op **ops, char *why);
void op_print(const struct op *op, char *to, size_t room);

#endif
