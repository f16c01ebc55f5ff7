/* SPDX-License-Identifier: MIT */
/*
 * The tree of sysfs, for the parts of the personality that have something to
 * show there.  Owner: linuxabi/fs/sysfs.c.
 *
 * Paths start at sysfs's root, without a slash in front; directories on the way
 * are made.  All of these may block and take a mutex of rank 24.
 */
#ifndef LX_SYSFS_H
#define LX_SYSFS_H

#include "fs.h"

/* 0, -ENOMEM, -EEXIST (sysfs_dir: if the name is none of a directory). */
long sysfs_dir(const char *path);
/*
 * show writes the text when a program reads the file; store, unless NULL, gets what is written,
 * NUL-terminated, and returns 0 or -errno.  Both run with sysfs's mutex held, so that
 * `arg` need not live any longer than until sysfs_remove returns.
 */
long sysfs_file(const char *path, long (*show)(struct seq *, void *arg),
    long (*store)(const char *, size_t, void *arg), void *arg);
long sysfs_link(const char *path, const char *target);
/* Bring-up, once: what there is to know of CPUs 0 to count - 1. */
void sysfs_cpus_init(unsigned count);
/* The name and all that is below it; nothing happens if there is none. */
void sysfs_remove(const char *path);

#endif
