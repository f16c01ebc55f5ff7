/* SPDX-License-Identifier: MIT */
/*
 * Block commands as NVMe commands (NVMe 1.4 §6), and what comes back.
 */
#include <tessera/runtime.h>
#include <tessera/string.h>
#include "nvme.h"

/*
 * Physical Region Pages, §4.3: the first may begin anywhere in its page, all others begin one.
 * limits.boundary sees to that.  More than two: the second entry leads to a list.
 */
static void
prps_make(struct nvme *n, struct nvme_queue *q, unsigned cid, const struct block_command *b, struct nvme_sqe *sqe)
{
	uint64_t *list = (uint64_t *)(q->lists + (size_t)cid * NVME_LIST_BYTES);
	unsigned pages = 0;

	for (unsigned i = 0; i < b->segments; i++) {
		uint64_t at = b->segment[i].address, end = at + b->segment[i].bytes;

		for (; at < end; at = (at | (NVME_PAGE - 1)) + 1, pages++) {
			if (pages == 0)
				sqe->prp1 = at;
			else
				list[pages - 1] = at;
		}
	}
	assert_that(pages - 1 <= NVME_LIST_BYTES / sizeof *list);
	if (pages == 2)
		sqe->prp2 = list[0];
	if (pages <= 2)
		return;
	sqe->prp2 = q->lists_io + (uint64_t)cid * NVME_LIST_BYTES;
	dma_push(n->dma, list, (pages - 1) * sizeof *list);
}

/* §6.7: one range. */
static void
range_make(struct nvme *n, struct nvme_queue *q, unsigned cid, const struct block_command *b, struct nvme_sqe *sqe)
{
	uint8_t *range = q->lists + (size_t)cid * NVME_LIST_BYTES;

	memset(range, 0, 4);
	memcpy(range + 4, &b->count, 4);
	memcpy(range + 8, &b->block, 8);
	dma_push(n->dma, range, 16);
	sqe->prp1 = q->lists_io + (uint64_t)cid * NVME_LIST_BYTES;
	sqe->cdw10 = 0;
	sqe->cdw11 = DATASET_DEALLOCATE;
}

static void
command_make(struct nvme *n, struct nvme_queue *q, unsigned cid, const struct block_command *b)
{
	struct nvme_sqe *sqe = &q->command[cid].sqe;

	*sqe = (struct nvme_sqe){ .nsid = n->nsid };
	switch (b->op) {
	case BLOCK_FLUSH:
		sqe->opcode = IO_FLUSH;
		return;
	case BLOCK_DISCARD:
		sqe->opcode = IO_DATASET;
		range_make(n, q, cid, b, sqe);
		return;
	case BLOCK_WRITE_ZEROES:
		sqe->opcode = IO_WRITE_ZEROES;
		break;
	default:
		sqe->opcode = b->op == BLOCK_READ ? IO_READ : IO_WRITE;
		prps_make(n, q, cid, b, sqe);
	}
	sqe->cdw10 = (uint32_t)b->block;
	sqe->cdw11 = (uint32_t)(b->block >> 32);
	sqe->cdw12 = (b->count - 1) | (b->flags & BLOCK_FUA ? IO_FUA : 0u);
}

static bool
nvme_submit(void *device, const struct block_command *b, uint32_t tag)
{
	struct nvme *n = device;

	/* About to be reset: the server takes everything back as soon as it is. */
	if (n->state != NVME_LIVE || n->failed)
		return false;
	for (unsigned i = 0; i < n->queue_count; i++) {
		struct nvme_queue *q = &n->io[(n->turn + i) % n->queue_count];
		int cid = nvme_queue_cid(q, NVME_FOR_IO, tag);

		if (cid < 0)
			continue;
		n->turn = (n->turn + i + 1) % n->queue_count;
		command_make(n, q, (unsigned)cid, b);
		nvme_queue_submit(n, q, (unsigned)cid, n->io_ms);
		return true;
	}
	return false;
}

static void
nvme_kick(void *device)
{
	struct nvme *n = device;

	for (unsigned i = 0; n->state == NVME_LIVE && i < n->queue_count; i++)
		nvme_queue_kick(&n->io[i]);
}

static enum block_status
status_map(uint16_t status)
{
	unsigned code = STATUS_CODE(status);

	if (STATUS_TYPE(status) == TYPE_COMMAND)
		return code == COMMAND_READONLY ? BLOCK_EROFS : BLOCK_EIO;
	if (STATUS_TYPE(status) != TYPE_GENERIC)
		return BLOCK_EIO;
	switch (code) {
	case 0:
		return BLOCK_OK;
	case GENERIC_OPCODE:
		return BLOCK_ENOTSUP;
	case GENERIC_ABORTED:
		return BLOCK_ETIMEDOUT;
	case GENERIC_PROTECTED:
		return BLOCK_EROFS;
	case GENERIC_RANGE:
		return BLOCK_ERANGE;
	default:
		return BLOCK_EIO;
	}
}

static const char *
opcode_name(uint8_t opcode)
{
	switch (opcode) {
	case IO_FLUSH: return "flush";
	case IO_READ: return "read";
	case IO_WRITE: return "write";
	case IO_WRITE_ZEROES: return "write zeroes";
	default: return "deallocate";
	}
}

static void
error_say(struct nvme *n, const struct nvme_sqe *sqe, uint16_t status, const char *then)
{
	char text[64];

	nvme_status_text(text, sizeof text, status);
	log_line(LOG_WARNING "%s: %s of %u blocks at %lu: %s%s", n->facts.name, opcode_name(sqe->opcode),
	    (sqe->cdw12 & 0xffff) + 1, sqe->cdw10 | (uint64_t)sqe->cdw11 << 32, text, then);
	if (n->health_after == 0)
		n->health_after = time_ticks() + time_ticks_of_ns(NVME_HEALTH_MS * 1000000ULL);
}

/* A failed command is given once more where the device does not rule that out (DNR). */
void
nvme_io_completed(struct nvme *n, struct nvme_queue *q, unsigned cid, uint16_t status)
{
	struct nvme_command *c = &q->command[cid];
	bool failed = (STATUS_CODE(status) | STATUS_TYPE(status)) != 0;

	if (failed && !c->retried && !STATUS_DNR(status)) {
		error_say(n, &c->sqe, status, ", tried again");
		c->retried = true;
		c->aborted = false;
		nvme_queue_submit(n, q, cid, n->io_ms);
		return;
	}
	if (failed)
		error_say(n, &c->sqe, status, "");
	nvme_queue_release(q, cid);
	block_done(n->server, c->tag, status_map(status));
}

static void
nvme_poll(void *device)
{
	nvme_controller_poll(device);
}

static void
nvme_interrupt(void *device, uint64_t bits)
{
	struct nvme *n = device;

	pci_irq_ack(n->pci, pci_vectors_of(n->pci, bits));
}

/* A completion that comes after the last look raises an interrupt, and that is a bit in the bell. */
static bool
nvme_rest(void *device)
{
	(void)device;
	return true;
}

static uint64_t
nvme_deadline(void *device)
{
	return nvme_controller_deadline(device);
}

const struct block_operations nvme_operations = {
	.submit = nvme_submit,
	.kick = nvme_kick,
	.poll = nvme_poll,
	.interrupt = nvme_interrupt,
	.rest = nvme_rest,
	.deadline = nvme_deadline,
};
