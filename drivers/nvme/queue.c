/* SPDX-License-Identifier: MIT */
/*
 * Pairs of queues, NVMe 1.4 §4.1.  Every command keeps a copy of its entry: it can be given again,
 * and the device cannot change what it was.
 */
#include <driver/mmio.h>
#include <tessera/runtime.h>
#include <tessera/string.h>
#include "nvme.h"

bool
nvme_queue_memory(struct nvme *n, struct nvme_queue *q, uint16_t depth, bool with_lists)
{
	q->depth = depth;
	q->sq = dma_alloc(n->dma, depth * sizeof *q->sq, NVME_PAGE, &q->sq_io);
	q->cq = dma_alloc(n->dma, depth * sizeof *q->cq, NVME_PAGE, &q->cq_io);
	if (with_lists)
		q->lists = dma_alloc(n->dma, (size_t)depth * NVME_LIST_BYTES, NVME_PAGE, &q->lists_io);
	return q->sq != NULL && q->cq != NULL && (!with_lists || q->lists != NULL);
}

void
nvme_queue_reset(struct nvme *n, struct nvme_queue *q, uint16_t id)
{
	uintptr_t stride = (uintptr_t)4 << CAP_DSTRD(n->cap);

	q->id = id;
	q->sq_doorbell = n->base + NVME_DOORBELLS + 2 * id * stride;
	q->cq_doorbell = q->sq_doorbell + stride;
	q->tail = q->head = 0;
	q->phase = 1;
	q->in_flight = q->next_cid = 0;
	q->kick = false;
	memset(q->command, 0, sizeof q->command);
	memset(q->cq, 0, q->depth * sizeof *q->cq);
	dma_push(n->dma, q->cq, q->depth * sizeof *q->cq);
}

int
nvme_queue_cid(struct nvme_queue *q, enum nvme_purpose purpose, uint32_t tag)
{
	/* A queue of depth entries holds depth - 1 (§4.1.1). */
	if (q->in_flight + 1 >= q->depth)
		return -1;
	/* In turn, so that a late completion of a cid rarely meets its next use. */
	while (q->command[q->next_cid].busy)
		q->next_cid = (uint16_t)((q->next_cid + 1) % q->depth);
	q->command[q->next_cid] = (struct nvme_command){ .busy = true, .purpose = (uint8_t)purpose, .tag = tag };
	q->in_flight++;
	return q->next_cid;
}

void
nvme_queue_submit(struct nvme *n, struct nvme_queue *q, unsigned cid, uint64_t ms)
{
	struct nvme_command *c = &q->command[cid];

	c->sqe.cid = (uint16_t)cid;
	c->deadline = ms != 0 ? time_ticks() + time_ticks_of_ns(ms * 1000000) : 0;
	q->sq[q->tail] = c->sqe;
	dma_push(n->dma, &q->sq[q->tail], sizeof c->sqe);
	q->tail = (uint16_t)((q->tail + 1) % q->depth);
	q->kick = true;
	/* The next use takes another cid. */
	q->next_cid = (uint16_t)((cid + 1) % q->depth);
}

void
nvme_queue_kick(struct nvme_queue *q)
{
	if (!q->kick)
		return;
	q->kick = false;
	dma_wmb();			/* the entries before the doorbell */
	mmio_write32(q->sq_doorbell, q->tail);
}

void
nvme_queue_release(struct nvme_queue *q, unsigned cid)
{
	q->command[cid].busy = false;
	q->in_flight--;
}

/* Nothing of an entry is used before it was compared with what we know. */
static void
completion_take(struct nvme *n, struct nvme_queue *q, const struct nvme_cqe *e)
{
	if (e->sq_id != q->id || e->sq_head >= q->depth) {
		nvme_makes_no_sense(n, "a completion of another queue");
		return;
	}
	if (e->cid >= q->depth || !q->command[e->cid].busy) {
		nvme_makes_no_sense(n, "a completion of no command");
		return;
	}
	nvme_completed(n, q, e->cid, e->result, (uint16_t)(e->status >> 1));
}

/*
 * The phase tag says whose an entry is, so it is read before the rest (§4.6).  A
 * full queue holds depth - 1 entries: a device that claims more cannot hold us here.
 */
void
nvme_queue_drain(struct nvme *n, struct nvme_queue *q)
{
	bool moved = false;

	for (unsigned k = 0; k + 1 < q->depth && !n->failed; k++) {
		const volatile struct nvme_cqe *at = &q->cq[q->head];
		struct nvme_cqe e;

		dma_pull(n->dma, &q->cq[q->head], sizeof e);
		if ((at->status & 1) != q->phase)
			break;
		dma_rmb();		/* phase tag before the rest */
		e = *at;
		q->head = (uint16_t)((q->head + 1) % q->depth);
		if (q->head == 0)
			q->phase ^= 1;
		moved = true;
		completion_take(n, q, &e);
	}
	if (moved && !n->failed)
		mmio_write32(q->cq_doorbell, q->head);	/* once per drain, not per entry */
}
