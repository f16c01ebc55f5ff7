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

struct client {
	struct fs *fs;
	struct record_disk *disk;
	uint64_t now_ns;		/* the clock of fs */
	uint64_t sequence;
	uint64_t transaction;		/* of the operation's first request that changed something */
	uint64_t committed;		/* as fs said */
	uint32_t step;			/* of the laboratory; the mark of an end names it */
	struct background *background;	/* syncs that were begun */
	bool verbose;			/* print what fs says */
	char said[256];			/* its last line */
};

/* A server on a disk, not mounted.  False: no memory. */
bool client_open(struct client *client, struct record_disk *disk);
void client_close(struct client *client);

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
