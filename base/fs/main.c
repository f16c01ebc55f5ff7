/* SPDX-License-Identifier: MIT */
/*
 * The fs component: its channels, its bells, its loop.  fs(8).
 */
#include <stdlib.h>
#include <string.h>
#include <tessera/runtime.h>
#include "blockdisk.h"
#include "server.h"

enum { MAX_DISKS = 8 };

static struct server server;
static struct blockdisk *disks[MAX_DISKS];
static const struct component_channel *disk_channels[MAX_DISKS];
static const struct component_channel *client_channel;
static unsigned disk_count;
static struct blockdisk *chosen;
static bool copy_told[MAX_DISKS];

static uint64_t
clock_ns(void *context)
{
	(void)context;
	if (component->wall_time_ns != 0)
		return component->wall_time_ns + time_ns_of_ticks(time_ticks() - component->wall_time_ticks);
	return time_ns_of_ticks(time_ticks());
}

static void
say(void *context, const char *line)
{
	(void)context;
	log_line("%s", line);
}

static void
open_disks(const void *heap)
{
	const struct component_channel *c;

	for (unsigned i = 0; disk_count < MAX_DISKS &&
	    (c = component_channel(CHANNEL_BLOCK, CHANNEL_CLIENT, i)) != NULL; i++) {
		struct blockdisk *d = calloc(1, sizeof *d);

		if (d == NULL || !blockdisk_attach(d, (void *)c->address, c->size, heap, c->window,
		    client_channel->window)) {
			log_line(LOG_WARNING "channel %s is no disk, or there is no memory", c->name);
			free(d);
			continue;
		}
		disk_channels[disk_count] = c;
		disks[disk_count++] = d;
		bell_ring(c->slot);
	}
}

static void
say_disk(const struct block_facts *f)
{
	if (f->part_number != 0)
		log_line("serves %s, partition %s, %lu MiB", f->name, f->part_name, chosen->disk.bytes >> 20);
	else
		log_line("serves %s, %lu MiB from block %lu", f->name, chosen->disk.bytes >> 20, f->first_block);
}

static void
serve_disk(struct blockdisk *d)
{
	chosen = d;
	say_disk(&d->client.facts);
	server_disk(&server, &d->disk);
}

/* Is it known whether it has what its channel is for? */
static bool
is_settled(const struct blockdisk *d)
{
	return d->client.live && d->client.facts.state != BLOCK_STARTING;
}

/*
 * The first disk that has what its channel is for: of several that the client may name, the
 * one that it has named.  A copy of the disk that was started from comes last, when all others
 * are known not to have it: the loader may lie on a disk without a root.
 */
static void
choose_disk(void)
{
	struct blockdisk *copy = NULL;
	bool settled = true;

	for (unsigned i = 0; i < disk_count; i++) {
		bool ready = blockdisk_ready(disks[i]);

		settled = settled && is_settled(disks[i]);
		if (ready && (disks[i]->client.facts.flags & BLOCK_COPY) == 0) {
			serve_disk(disks[i]);
			return;
		}
		if (ready && copy == NULL)
			copy = disks[i];
	}
	if (copy != NULL && settled)
		serve_disk(copy);
}

/*
 * The same partition of the same disk twice: two disks of one image, where drivers do not know
 * which of them was started from.
 */
static bool
is_copy(const struct blockdisk *d)
{
	const struct block_facts *f = &d->client.facts, *own = &chosen->client.facts;

	return d != chosen && d->client.live && f->state == BLOCK_READY && own->part_number != 0 &&
	    (f->flags & BLOCK_COPY) == 0 &&
	    memcmp(f->part_guid, own->part_guid, sizeof f->part_guid) == 0 &&
	    memcmp(f->disk_guid, own->disk_guid, sizeof f->disk_guid) == 0;
}

static void
say_copies(void)
{
	for (unsigned i = 0; i < disk_count; i++) {
		if (copy_told[i] || !is_copy(disks[i]))
			continue;
		copy_told[i] = true;
		log_line(LOG_WARNING "%s and %s have the same GUIDs, and firmware did not say which was started from: "
		    "%s serves", chosen->client.facts.name, disks[i]->client.facts.name, chosen->client.facts.name);
	}
}

static void
move_disks(bool all)
{
	for (unsigned i = 0; i < disk_count; i++)
		if (blockdisk_move(disks[i]) || all)
			bell_ring(disk_channels[i]->slot);
	if (server.wants_disk)
		chosen = NULL;
	if (chosen == NULL)
		choose_disk();
	if (chosen != NULL) {
		server.channel->disk_state = chosen->client.facts.state;
		say_copies();
	}
}

static bool
disks_rest(void)
{
	bool rest = true;

	for (unsigned i = 0; i < disk_count; i++)
		rest = block_rest(&disks[i]->client) && rest;
	return rest;
}

static void
ring_client(bool all)
{
	if (server.bell || all)
		bell_ring(client_channel->slot);
	server.bell = false;
}

static void
serve(void)
{
	uint64_t bits = COMPONENT_BIT_PEER, deadline;
	int64_t next;

	for (;;) {
		move_disks((bits & COMPONENT_BIT_PEER) != 0);
		next = server_step(&server);
		if (server.wants_disk && chosen != NULL)
			continue;	/* with the bits as they are */
		ring_client((bits & COMPONENT_BIT_PEER) != 0);
		bits = 0;
		for (unsigned i = 0; i < disk_count; i++)
			if (block_push(&disks[i]->client))
				bell_ring(disk_channels[i]->slot);
		if (!disks_rest() || !server_rest(&server))
			continue;
		deadline = 0;
		if (next != FS_NEVER) {
			uint64_t now = clock_ns(NULL), left = (uint64_t)next > now ? (uint64_t)next - now : 0;

			deadline = time_ticks() + time_ticks_of_ns(left) + 1;
		}
		bits = bell_wait(deadline);
	}
}

int
main(void)
{
	struct fs_options options = { .clock_ns = clock_ns, .say = say, .random = component->random,
		.was_killed = component->was_killed != 0 };
	size_t heap_bytes;
	void *heap = heap_region(&heap_bytes);

	if ((component->cpu_features & COMPONENT_CPU_CRC32) != 0)
		crc32c_use_cpu();
	client_channel = component_channel(CHANNEL_FS, CHANNEL_SERVER, 0);
	if (client_channel == NULL) {
		log_line(LOG_WARNING "there is no channel to serve");
		return 1;
	}
	/* half of the memory keeps metadata; the rest is stacks, requests and the log */
	options.cache_bytes = heap_bytes / 2;
	if (!server_begin(&server, (void *)client_channel->address, client_channel->size, &options)) {
		log_line(LOG_WARNING "channel %s is no file system's, or there is no memory",
		    client_channel->name);
		return 1;
	}
	open_disks(heap);
	if (disk_count == 0) {
		log_line(LOG_WARNING "there is no disk");
		return 1;
	}
	serve();
}
