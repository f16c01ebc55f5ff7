/* SPDX-License-Identifier: MIT */
/*
 * flash: an image onto a disk.  source.c reads images, target.c knows disks,
 * flash.c asks, writes and verifies.
 */
#ifndef IMAGES_FLASH_H
#define IMAGES_FLASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { CHUNK = 1 << 20, SECTOR = 512, NAME = 256, REASON = 600 };

/* What is wrong, for "flash: …"; returns false. */
bool because(char reason[REASON], const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- an image: raw, or compressed by xz or zstd ---- */
struct source {
	const char *path;
	int fd;			/* of its bytes */
	pid_t child;		/* who unpacks; 0: nobody */
	const char *unpacker;
	uint64_t bytes;		/* unpacked; 0: not known beforehand */
};
bool source_open(struct source *, const char *path, char reason[REASON]);
/* Up to CHUNK bytes, short only at the end. */
bool source_read(struct source *, void *to, size_t *size, char reason[REASON]);
/* At the end of the bytes: did it unpack all of the file?  Ends the unpacker in any case. */
bool source_close(struct source *, char reason[REASON]);

/* ---- a disk ---- */
struct target {
	char path[NAME], name[NAME], model[NAME];
	int fd;
	uint64_t bytes;
	bool removable;
	char users[NAME];	/* who has it in use, as a phrase; "": nobody */
};
/* Looks at a disk, opens nothing for writing.  False if it is none. */
bool target_look(struct target *, const char *path, char reason[REASON]);
bool target_open(struct target *, bool shared, char reason[REASON]);
bool target_read(struct target *, uint64_t offset, void *to, size_t size, char reason[REASON]);
bool target_write(struct target *, uint64_t offset, const void *from, size_t size, char reason[REASON]);
/* All of it on the disk, and nothing of it in memory: what is read now comes from the disk. */
bool target_settle(struct target *, char reason[REASON]);
/* The kernel reads the partition table anew. */
void target_close(struct target *);

int flash_main(int argc, char **argv);

#endif
