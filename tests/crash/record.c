/* SPDX-License-Identifier: MIT */
/* The recording disk, and what its log says about stability. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "record.h"

enum { MARK_OF_NONE = UINT32_MAX };

static struct record_disk *
disk_of(struct disk *disk)
{
	return disk->context;
}

/* ---- the log ---------------------------------------------------------------- */

static uint32_t
log_event(struct record *record, enum event_kind kind, uint32_t index)
{
	if (record->events == record->event_room) {
		record->event_room = record->event_room != 0 ? 2 * record->event_room : 256;
		record->event = need_more(record->event, record->event_room * sizeof *record->event);
	}
	record->event[record->events] = (struct event){ .kind = (uint8_t)kind, .index = index };
	return record->events++;
}

void
record_mark(struct record *record, enum mark_kind mark, uint64_t value)
{
	uint32_t event = log_event(record, EVENT_MARK, MARK_OF_NONE);

	record->event[event].mark = (uint8_t)mark;
	record->event[event].value = value;
}

static void
gather(const struct disk_request *request, uint8_t *to)
{
	for (uint32_t i = 0; i < request->segments; i++) {
		memcpy(to, (const void *)(uintptr_t)request->segment[i].address, request->segment[i].bytes);
		to += request->segment[i].bytes;
	}
}

static void
scatter(const struct disk_request *request, const uint8_t *from)
{
	for (uint32_t i = 0; i < request->segments; i++) {
		memcpy((void *)(uintptr_t)request->segment[i].address, from, request->segment[i].bytes);
		from += request->segment[i].bytes;
	}
}

static uint32_t
log_write(struct record *record, const struct disk_request *request)
{
	struct written *write;

	if (record->writes == record->write_room) {
		record->write_room = record->write_room != 0 ? 2 * record->write_room : 128;
		record->write = need_more(record->write, record->write_room * sizeof *record->write);
	}
	write = &record->write[record->writes];
	*write = (struct written){ .offset = request->offset, .bytes = request->bytes,
		.done = NEVER, .stable = NEVER };
	write->fua = request->op == DISK_WRITE && (request->flags & DISK_FUA) != 0;
	write->client = request->segments != 0 && request->segment[0].space == DISK_CLIENT;
	if (request->op != DISK_DISCARD)
		write->data = need(request->bytes);
	if (request->op == DISK_WRITE)
		gather(request, write->data);
	write->submitted = log_event(record, EVENT_SUBMIT, record->writes);
	return record->writes++;
}

static uint32_t
log_flush(struct record *record)
{
	if (record->flushes == record->flush_room) {
		record->flush_room = record->flush_room != 0 ? 2 * record->flush_room : 64;
		record->flush = need_more(record->flush, record->flush_room * sizeof *record->flush);
	}
	record->flush[record->flushes].done = NEVER;
	record->flush[record->flushes].submitted = log_event(record, EVENT_FLUSH, record->flushes);
	return record->flushes++;
}

/*
 * A flush that is answered makes stable what was answered before the flush was
 * submitted (disk.h); FUA makes a write stable with its answer.
 */
void
record_settle(struct record *record)
{
	for (uint32_t i = 0; i < record->writes; i++) {
		struct written *write = &record->write[i];
		unsigned late = (record->faults & FAULT_LATE_DATA) != 0 && write->client ? 1 : 0;

		write->stable = NEVER;
		if (write->done == NEVER)
			continue;
		if (write->fua && (record->faults & FAULT_NO_FUA) == 0)
			write->stable = write->done;
		if ((record->faults & FAULT_NO_FLUSH) != 0)
			continue;
		for (uint32_t j = 0; j < record->flushes; j++) {
			const struct flushed *flush = &record->flush[j];

			if (flush->submitted < write->done || flush->done == NEVER || late-- != 0)
				continue;
			if (flush->done < write->stable)
				write->stable = flush->done;
			break;
		}
	}
}

void
record_free(struct record *record)
{
	for (uint32_t i = 0; i < record->writes; i++)
		free(record->write[i].data);
	free(record->event);
	free(record->write);
	free(record->flush);
	memset(record, 0, sizeof *record);
}

/* ---- the disk --------------------------------------------------------------- */

static bool
is_write(const struct disk_request *request)
{
	return request->op == DISK_WRITE || request->op == DISK_DISCARD || request->op == DISK_ZERO;
}

static void
complain(struct record_disk *disk, const char *what, const struct disk_request *request)
{
	if (disk->complaint[0] != '\0')
		return;
	snprintf(disk->complaint, sizeof disk->complaint, "%s (request %llu: op %u, offset %llu, %llu bytes)",
	    what, (unsigned long long)disk->requests, request->op, (unsigned long long)request->offset,
	    (unsigned long long)request->bytes);
}

/* 0, or what is wrong with a request, which is then answered with EIO. */
static const char *
bad_request(const struct record_disk *disk, const struct disk_request *request)
{
	uint64_t sum = 0, sector = disk->disk.sector_bytes;

	if (request->op == DISK_FLUSH)
		return NULL;
	if (request->op < DISK_READ || request->op > DISK_ZERO)
		return "no such operation";
	if (request->bytes == 0 || request->offset % sector != 0 || request->bytes % sector != 0)
		return "not whole sectors";
	if (request->offset > disk->disk.bytes || request->bytes > disk->disk.bytes - request->offset)
		return "outside the disk";
	if (request->op == DISK_DISCARD || request->op == DISK_ZERO)
		return NULL;
	if (request->segments == 0 || request->segments > DISK_SEGMENTS)
		return "number of segments";
	for (uint32_t i = 0; i < request->segments; i++) {
		if (request->segment[i].bytes % 512 != 0)
			return "a segment is no multiple of 512";
		sum += request->segment[i].bytes;
	}
	return sum == request->bytes ? NULL : "segments do not add up";
}

static void
check_overlap(struct record_disk *disk, const struct disk_request *request)
{
	for (const struct disk_request *other = disk->queue; other != NULL; other = other->next) {
		if (is_write(request) && is_write(other) &&
		    request->offset < other->offset + other->bytes &&
		    other->offset < request->offset + request->bytes)
			complain(disk, "two writes of one place in flight", request);
	}
}

static void
move_data(struct record_disk *disk, struct disk_request *request)
{
	uint8_t *place = disk->image->bytes + request->offset;
	struct written *write = NULL;

	if (request->op == DISK_READ) {
		scatter(request, place);
		return;
	}
	if (disk->record != NULL)
		write = &disk->record->write[request->private[0]];
	image_touch(disk->image, request->offset, request->bytes);
	if (request->op != DISK_WRITE) {
		/* what is discarded may be anything afterwards: here it is what nobody takes for his own */
		memset(place, request->op == DISK_DISCARD ? 0xa5 : 0, request->bytes);
		return;
	}
	gather(request, place);
	if (write == NULL || memcmp(place, write->data, request->bytes) == 0)
		return;
	if (!write->client)
		complain(disk, "memory changed while it was written", request);
	memcpy(write->data, place, request->bytes);
}

static void
finish(struct record_disk *disk, struct disk_request *request)
{
	if (request->op == DISK_FLUSH) {
		if (disk->record != NULL)
			disk->record->flush[request->private[0]].done =
			    log_event(disk->record, EVENT_FLUSHED, (uint32_t)request->private[0]);
	} else {
		move_data(disk, request);
		if (disk->record != NULL && is_write(request))
			disk->record->write[request->private[0]].done =
			    log_event(disk->record, EVENT_DONE, (uint32_t)request->private[0]);
	}
	request->result = 0;
	request->done(request);
}

static void
submit(struct disk *disk_interface, struct disk_request *request)
{
	struct record_disk *disk = disk_of(disk_interface);
	const char *bad = bad_request(disk, request);

	disk->requests++;
	if (bad != NULL) {
		complain(disk, bad, request);
		request->result = -EIO;
		request->done(request);
		return;
	}
	check_overlap(disk, request);
	if (disk->record != NULL && request->op == DISK_FLUSH)
		request->private[0] = log_flush(disk->record);
	else if (disk->record != NULL && is_write(request))
		request->private[0] = log_write(disk->record, request);
	if (disk->order == ORDER_NOW) {
		finish(disk, request);
		return;
	}
	request->next = disk->queue;
	disk->queue = request;
}

static struct disk_request *
choose(struct record_disk *disk)
{
	struct disk_request **link = &disk->queue, *request;
	unsigned count = 0, chosen;

	for (request = disk->queue; request != NULL; request = request->next)
		count++;
	if (count == 0)
		return NULL;
	chosen = disk->order == ORDER_LIFO ? 0 : count - 1;
	if (disk->order == ORDER_RANDOM)
		chosen = (unsigned)(mix(disk->random++, disk->requests) % count);
	while (chosen-- != 0)
		link = &(*link)->next;
	request = *link;
	*link = request->next;
	return request;
}

bool
record_disk_over(const struct record_disk *disk)
{
	return disk->deadline != 0 && disk->steps >= disk->deadline;
}

void
record_disk_abandon(struct record_disk *disk)
{
	struct disk_request *request;

	while ((request = choose(disk)) != NULL) {
		if (is_write(request) && (mix(disk->random, disk->steps + request->offset) & 1) != 0)
			move_data(disk, request);
	}
}

bool
record_disk_poll(struct disk *disk_interface)
{
	struct record_disk *disk = disk_of(disk_interface);
	struct disk_request *request;

	if (record_disk_over(disk))
		return false;
	request = choose(disk);
	if (request == NULL)
		return false;
	disk->steps++;
	finish(disk, request);
	return true;
}

void
record_disk_open(struct record_disk *disk, struct image *image, struct record *record,
    enum record_order order, uint64_t seed, uint32_t sector_bytes)
{
	memset(disk, 0, sizeof *disk);
	disk->disk.submit = submit;
	disk->disk.bytes = image->size;
	disk->disk.sector_bytes = sector_bytes;
	disk->disk.has_zero = true;
	disk->disk.context = disk;
	disk->image = image;
	disk->record = record;
	disk->order = order;
	disk->random = seed;
}
