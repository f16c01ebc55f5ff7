/* SPDX-License-Identifier: MIT */
/*
 * A client of base/fs (proto/fs.h) as a Linux personality is one: it knows
 * inodes by number and generation, writes whole blocks, and forgets an inode
 * that lost its last name.
 */
#ifndef CRASH_CLIENT_H
#define CRASH_CLIENT_H

#include "../../base/fs/fs.h"
#include "model.h"
#include "record.h"

/* Data that was written in a transaction which is not known to be stable. */
struct unstable {
	uint32_t id;
	uint64_t from, to, transaction;
};

struct client {
	struct fs *fs;
	struct record_disk *disk;
	uint64_t now_ns;		/* the clock of fs */
	uint64_t sequence;
	uint64_t transaction;		/* of the operation's first request that changed something */
	uint64_t committed;		/* as fs said */
	uint32_t step;			/* of the laboratory; the mark of an end names it */
	struct background *background;	/* syncs that were begun */
	/* Deaths of the server (proto/fs.h), when there is a redo area. */
	uint8_t *redo;
	const struct model *model;
	struct unstable *unstable;
	uint32_t unstables, unstable_room;
	uint32_t going;			/* inode without a name that is about to be evicted */
	uint64_t gap;			/* steps of the disk until the next death; 0: no other */
	unsigned deaths, faults;
	uint32_t mount_flags;		/* FS_MOUNT_* */
	bool verbose;			/* print what fs says */
	char said[256];			/* its last line */
};

/* A server on a disk, not mounted.  False: no memory. */
bool client_open(struct client *client, struct record_disk *disk);
void client_close(struct client *client);

/*
 * From now on the server may die, when its disk's deadline is over: then a new one
 * takes its place, and the operation goes on.  Not after it was mounted.
 */
bool client_survive(struct client *client, const struct model *model, uint64_t gap);

/* 0 or -errno. */
int64_t client_mount(struct client *client);
int64_t client_unmount(struct client *client);

/*
 * Do an operation of which the model says that it succeeds, and append it to the
 * model if it does.  A short write is applied as far as it went.  Returns 0 or
 * more, or -errno; then the model is as before.  *transaction: the one
 * that holds what can be seen of it; 0: none.
 */
int64_t client_do(struct client *client, struct model *model, const struct op *op,
    uint64_t *transaction);

/* Wait for the syncs that were begun.  0, or -errno of one of them. */
int64_t client_wait(struct client *client);

/* All that is there, read through the server; null: a line in `why` says what failed. */
struct tree *client_tree(struct client *client, char *why, size_t room);

#endif
