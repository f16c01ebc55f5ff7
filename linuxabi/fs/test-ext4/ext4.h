/* SPDX-License-Identifier: MIT */
/*
 * Between the two sides of the test, in types that both know: base/fs behind
 * a channel of proto/fs.h (server.c), and the personality's files (client.c).
 */
#ifndef TEST_EXT4_H
#define TEST_EXT4_H

#include <stdbool.h>
#include <stdint.h>

/* server.c */
void *ext4_start(const char *mke2fs_options, uint64_t bytes);	/* a new disk; its channel */
bool ext4_step(void);			/* false: there is nothing to do */
bool ext4_clean(void);			/* unmounted, and e2fsck -fn has nothing to say */
bool ext4_mounted(void);
extern bool ext4_shuffle;		/* disk requests end in any order */
extern unsigned ext4_die_in;		/* steps until the server dies */
extern unsigned ext4_deaths;

/* client.c */
void *ext4_window(uint64_t address);	/* memory that a segment names */
void ext4_bell(bool peer);
uint64_t ext4_random(void);

#endif
