/* SPDX-License-Identifier: MIT */
/*
 * Counts the system calls of this process that change a disk, those of SQLite
 * and libarchive as well, and ends the process before the one it was told.
 */
#ifndef DISK_CALLS_H
#define DISK_CALLS_H

enum death {
	DEATH_KILL,	/* the process dies, the machine goes on */
	DEATH_POWER,	/* the power fails: bytes appended to a file and not flushed are gone */
	DEATH_FULL,	/* none: from the step on, whatever needs room fails with ENOSPC */
	DEATH_SIGNAL,	/* none: Ctrl-C is pressed at the step */
	DEATH_NO_SYNC,	/* the same on a disk whose syncfs does nothing: must do damage */
};
enum { DEATH_STATUS = 77 };

void disk_calls_arm(unsigned long step, enum death death);	/* 0: only counts */
unsigned long disk_calls_count(void);

#endif
