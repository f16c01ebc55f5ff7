/* SPDX-License-Identifier: MIT */
/*
 * Requests of the file system become requests of the block protocol: bytes
 * become blocks, and memory becomes the addresses that the device uses.
 */
#include <errno.h>
#include <string.h>
#include <proto/component.h>
#include "blockdisk.h"

static int
error_of(uint32_t status)
{
	switch (status) {
	case BLOCK_OK:
		return 0;
	case BLOCK_EROFS:
		return -EROFS;
	case BLOCK_ENOTSUP:
		return -EOPNOTSUPP;
	case BLOCK_ENOMEDIUM:
		return -ENOMEDIUM;
	default:
		return -EIO;
	}
}

/* The address that the device uses; false: the client named memory outside of
 * its window. */
static bool
translate(const struct blockdisk *d, const struct disk_segment *s, struct block_segment *to)
{
	const uint64_t room = 1ULL << IO_WINDOW_BITS;

	if (s->space == DISK_CLIENT) {
		if (s->address >= room || s->bytes > room - s->address)
			return false;
		to->address = d->client_window + s->address;
	} else {
		to->address = d->own_window + (s->address - (uintptr_t)d->heap);
	}
	to->bytes = s->bytes;
	to->reserved = 0;
	return true;
}

static uint16_t
block_op(uint32_t op)
{
	switch (op) {
	case DISK_READ:
		return BLOCK_READ;
	case DISK_WRITE:
		return BLOCK_WRITE;
	case DISK_FLUSH:
		return BLOCK_FLUSH;
	case DISK_DISCARD:
		return BLOCK_DISCARD;
	default:
		return BLOCK_WRITE_ZEROES;
	}
}

static void
finish(struct disk_request *r, int result)
{
	r->result = result;
	r->done(r);
}

static bool
send(struct blockdisk *d, struct disk_request *r)
{
	struct blockdisk_io *b = d->free_io;
	uint32_t unit = d->disk.sector_bytes;

	if (b == NULL)
		return false;
	memset(&b->io, 0, sizeof b->io);
	for (uint32_t i = 0; i < r->segments; i++)
		if (!translate(d, &r->segment[i], &b->segment[i])) {
			finish(r, -EFAULT);
			return true;
		}
	b->io.op = block_op(r->op);
	b->io.flags = (r->flags & DISK_FUA) != 0 ? BLOCK_FUA : 0;
	b->io.block = r->offset / unit;
	b->io.count = (uint32_t)(r->bytes / unit);
	b->io.segments = r->segments;
	b->io.segment = b->segment;
	if (!block_submit(&d->client, &b->io))
		return false;
	b->request = r;
	d->free_io = b->free_next;
	return true;
}

static void
submit(struct disk *disk, struct disk_request *r)
{
	struct blockdisk *d = disk->context;

	r->next = NULL;
	if (d->waiting == NULL && send(d, r))
		return;
	if (d->waiting == NULL)
		d->waiting = r;
	else
		d->last_waiting->next = r;
	d->last_waiting = r;
}

bool
blockdisk_attach(struct blockdisk *d, void *frame, size_t bytes, const void *heap,
    unsigned own_window, unsigned client_window)
{
	memset(d, 0, sizeof *d);
	if (!block_attach(&d->client, frame, bytes))
		return false;
	d->heap = heap;
	d->own_window = IO_WINDOW(own_window);
	d->client_window = IO_WINDOW(client_window);
	for (unsigned i = 0; i < BLOCK_RING; i++) {
		d->io[i].free_next = d->free_io;
		d->free_io = &d->io[i];
	}
	return true;
}

bool
blockdisk_ready(struct blockdisk *d)
{
	const struct block_facts *f = &d->client.facts;

	(void)block_update(&d->client);
	if (!d->client.live || f->state != BLOCK_READY || f->block_size == 0)
		return false;
	d->disk = (struct disk){
		.submit = submit,
		.bytes = f->blocks * f->block_size,
		.sector_bytes = f->block_size,
		.max_bytes = f->max_bytes,
		.read_only = (f->flags & BLOCK_READONLY) != 0,
		.has_discard = (f->flags & BLOCK_HAS_DISCARD) != 0,
		.has_zero = (f->flags & BLOCK_HAS_ZEROES) != 0,
		.context = d,
	};
	return true;
}

bool
blockdisk_move(struct blockdisk *d)
{
	struct block_io *io;

	while ((io = block_reap(&d->client)) != NULL) {
		struct blockdisk_io *b = (struct blockdisk_io *)io;
		struct disk_request *r = b->request;

		b->free_next = d->free_io;
		d->free_io = b;
		finish(r, error_of(io->status));
	}
	while (d->waiting != NULL) {
		struct disk_request *r = d->waiting, *next = r->next;

		if (!send(d, r))
			break;
		d->waiting = next;
	}
	return block_push(&d->client);
}
