/* SPDX-License-Identifier: MIT */
/*
 * Redo records: what was answered to the client and is not committed yet, in
 * memory that outlives the server (proto/fs.h, Deaths).  All functions do
 * nothing where options.redo is null.
 */
#ifndef FS_REDO_H
#define FS_REDO_H

#include "core.h"

/* At mount.  recovering: the area is an earlier life's, and committed is the last
 * transaction that the journal had; else it is emptied. */
int redo_open(struct fs *fs, bool recovering, uint64_t committed);
void redo_close(struct fs *fs);
/* When the journal was brought home, and before its superblock forgets how far it went:
 * note which records it did not have.  Such notes outlive any number of lives. */
void redo_recovered(struct fs *fs, uint64_t committed);
/* Do again what the journal did not have.  Sleeps. */
int redo_replay(struct fs *fs);
/* Is that what is going on?  Then data are left alone: what an operation did to them is on
 * the disk already, and a write in place may have come after it. */
bool redo_replaying(const struct fs *fs);

/*
 * Before an operation: see that its record will have room.  1: an earlier life
 * did it, and the answer is filled in; 0: it is to be done; -EIO: it killed the
 * server twice.  Sleeps.
 */
int redo_begin(struct fs *fs, struct fs_job *job);
/* After it, before anybody sleeps: keep its record. */
void redo_end(struct fs *fs, struct fs_job *job);
void redo_answered(struct fs *fs, const struct fs_job *job);
/* Inodes that requests from `sequence` on left without a name are held. */
void redo_hold(struct fs *fs, uint64_t sequence);

#endif
