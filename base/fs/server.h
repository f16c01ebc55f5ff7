/* SPDX-License-Identifier: MIT */
/*
 * The server's side of proto/fs.h: one channel, one client that is not trusted.
 * Without an operating system: main.c gives it memory, a disk and bells, and so
 * do tests on the build host.
 *
 *	server_begin(&server, frame, bytes, &options);
 *	for (;;) {
 *		server_disk(&server, disk);	once there is one
 *		next = server_step(&server);
 *		if (server.bell) ring the client;
 *		if (server_rest(&server))
 *			wait for a bell, or until `next`
 *	}
 */
#ifndef FS_SERVER_H
#define FS_SERVER_H

#include "fs.h"

enum { SERVER_JOBS = 64 };

struct server_job {
	struct fs_job job;		/* first */
	struct server *server;
	struct server_job *free_next;
	uint32_t slot;
	uint8_t *page;
};

struct server {
	struct fs_channel *channel;
	struct fs_options options;	/* with the server's own context */
	void (*say)(void *context, const char *line);
	void *context;
	struct disk *disk;
	struct fs *fs;
	struct server_job *jobs, *free_job;
	uint8_t *pages;
	unsigned active;
	bool busy[FS_SLOTS];
	bool bell;			/* the client shall be rung */
	bool born;			/* this life's epoch is published */
	uint32_t epoch;			/* of this life; what a client sent to another one is dropped */
	bool recovers;			/* it takes over a mount */
	bool wants_disk;		/* set here, cleared by server_disk: say which disk is there now */
	bool disk_fresh;		/* it was said since the last client came */
	bool own_running, own_done;	/* a request of our own: to recover, or to end a mount */
	struct fs_job own;
	uint8_t *own_page;
	uint32_t broken;		/* requests and indices that made no sense */
	uint64_t begun_ns, disk_ns, born_ns;	/* when this life began, had a disk, and said that it is there */
};

/* Begin a life of the server.  options.say, .context, .clock_ns, .cache_bytes,
 * .random are the caller's.  False: this is no channel, or there is no memory. */
bool server_begin(struct server *server, void *frame, size_t bytes, const struct fs_options *options);
/* There is a disk (before the first step that shall do something).  Each client that comes may
 * want another one: when wants_disk is set the last one is in use no more. */
void server_disk(struct server *server, struct disk *disk);
/* Do everything that can be done; as fs_run. */
int64_t server_step(struct server *server);
/* True: nothing came meanwhile, one may wait for bells. */
bool server_rest(struct server *server);
/* As a death: the disk has answered everything. */
void server_end(struct server *server);

#endif
