/* SPDX-License-Identifier: MIT */
/*
 * A file server in memory that speaks proto/fs.h: what disk_client.c and its
 * friends are tested against.  It copies data straight from and to the pages
 * that segments name, keeps transactions, and loses at its death what a server
 * loses: file data that no commit has named, and what it had not answered.
 */
#ifndef TEST_DISK_SERVER_H
#define TEST_DISK_SERVER_H

#include "../disk.h"

enum { SERVER_CHANNEL = 1, SERVER_WINDOW = 2 };

struct server_faults {
	bool reorder;			/* requests are served in any order */
	bool delay;			/* and answered some other time */
	bool crowded;			/* names may get cookies near to each other */
	unsigned die_in;		/* steps until it dies; 0: it lives */
	unsigned fail_op;		/* this operation … */
	long fail_with;			/* … fails like this */
	unsigned fail_count;		/* so many times */
};
extern struct server_faults faults;
extern const bool server_is_model;	/* false: a real one, whose inside cannot be looked at */
extern const bool server_redoes;		/* its deaths lose nothing that it answered */
extern uint64_t server_blocks;		/* room, in blocks of 4 KiB */
extern uint64_t server_requests[256];	/* served, by operation */
extern unsigned server_deaths;
extern uint64_t server_steps;
extern char server_wrong[256];		/* what a client must not do, as first seen */

void server_start(struct world_info *);	/* a new disk and its channel */
bool server_step(void);			/* do something; false: there is nothing to do */
uint64_t server_used(void);		/* blocks in use or reserved */
unsigned server_inodes(void);		/* that exist */
unsigned server_orphans(void);		/* of them without a name */
bool server_clean(void);		/* unmounted, or nothing uncommitted */
/* The file's bytes as they are on the disk: what a crash now leaves. */
long server_peek(uint32_t inode, uint64_t offset, void *buf, unsigned long size);

#endif
