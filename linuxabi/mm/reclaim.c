/* SPDX-License-Identifier: MIT */
/*
 * Reclaim of cached pages of disks: a clock over the chunks of the pool (io.h).
 *
 * Its hand marks each page it passes PS_COLD; whoever uses the page takes the mark
 * away; a page that still has it when the hand comes again is forgotten, if it
 * is clean, stable (mapping_ops.forget) and nobody refers to it.  A chunk with no
 * page left goes back to the allocator, and only then is it memory for
 * anything else: that is what "lent" costs.  Under real need heat is no excuse.
 *
 * What else caches may give (reclaim_register) is asked for before chunks are
 * emptied, if it was not used lately, and when no chunk came free, if it was.
 *
 * A page's mapping is read without a lock; a reference on its inode, taken in
 * a read section, makes it safe (inodes are freed through grace_free).
 */
#include "internal.h"
#include "io.h"
#include "reclaim.h"
#include "../fs/internal.h"

enum { PAUSE_NS = 5000000, SHRINK_BYTES = 256 * 1024 };

static struct mutex hand_lock = MUTEX_INIT(hand_lock, 46);
static unsigned hand;
static uint64_t (*shrinker)(uint64_t bytes, bool hard);	/* set once, before the first program */

void reclaim_register(uint64_t (*shrink)(uint64_t, bool)) { shrinker = shrink; }

static bool
shrink(bool hard)
{
	return shrinker != NULL && shrinker(SHRINK_BYTES, hard) > 0;
}

/* The inode behind the page's mapping, with a reference; NULL: it has none (any more). */
static struct inode *
page_inode(struct page *p, struct mapping **m)
{
	struct inode *i = NULL;

	read_begin();
	*m = READ_ONCE(p->mapping);
	if (*m != NULL && (*m)->ops != NULL && (*m)->ops->ready != NULL) {
		i = READ_ONCE((*m)->inode);
		if (i != NULL && !ref_get_unless_zero(&i->refs))
			i = NULL;
	}
	read_end();
	return i;
}

enum heat { HEAT_RESPECT, HEAT_IGNORE };

/* One page under the hand: true if it is free now. */
static bool
page_pass(struct page *p, enum heat heat, bool *dirty, struct mapping **write_back)
{
	struct mapping *m;
	struct inode *i;
	uint32_t s = page_state(p);
	bool gone = false;

	if (READ_ONCE(p->mapping) == NULL || (s & PS_READING))
		return false;
	if (heat == HEAT_RESPECT && (s & PS_COLD) == 0) {
		page_state_set(p, PS_COLD);
		return false;
	}
	i = page_inode(p, &m);
	if (i == NULL)
		return false;
	if ((s & (PS_DIRTY | PS_WRITING)) == 0) {
		/* Mapped: whoever uses it faults it in again. */
		if (ref_read(&p->refs) > 1)
			mapping_unmap_try(m, p->index);
		gone = mapping_forget(m, p);
	}
	if (!gone && m->ops->write_back != NULL) {
		*dirty = true;
		if (*write_back != m)
			m->ops->write_back(m);
		*write_back = m;
	}
	inode_put(i);
	return gone;
}

static uint64_t
chunk_pass(unsigned n, enum heat heat, bool *dirty)
{
	struct page *pages = io_chunk_pages(n);
	struct mapping *write_back = NULL;
	uint64_t got = 0;

	for (unsigned i = 0; pages != NULL && i < IO_CHUNK_PAGES; i++)
		got += page_pass(&pages[i], heat, dirty, &write_back);
	return got;
}

/* Until something was written or committed. */
static void
pause_a_little(unsigned state)
{
	task_prepare_wait(state);
	task_wait(clock_monotonic() + PAUSE_NS);
	task_finish_wait();
}

uint64_t
reclaim_pages(uint64_t wanted)
{
	unsigned chunks = io_chunk_limit();
	uint64_t got = 0;
	bool dirty = false;

	mutex_lock(&hand_lock);
	/* Two turns: the first may only have marked. */
	for (unsigned i = 0; i < 2 * chunks && got < wanted; i++) {
		got += chunk_pass(hand, HEAT_RESPECT, &dirty);
		hand = (hand + 1) % chunks;
	}
	mutex_unlock(&hand_lock);
	if (got == 0)
		pause_a_little(dirty ? TASK_UNINTERRUPTIBLE : TASK_KILLABLE);
	return got;
}

enum reclaimed
reclaim_memory(void)
{
	unsigned chunks = io_chunk_limit();
	bool dirty = false;
	uint64_t got;

	if (mutex_held(&hand_lock))
		return RECLAIM_NOTHING;
	mutex_lock(&hand_lock);
	got = (io_chunks_spare() ? io_chunks_release(1) : 0) + shrink(false);
	for (unsigned i = 0; i < chunks && got == 0 && io_chunks_spare(); i++) {
		if (chunk_pass(hand, HEAT_IGNORE, &dirty) > 0)
			got = io_chunks_release(1);
		hand = (hand + 1) % chunks;
	}
	if (got == 0)
		got = shrink(true);
	mutex_unlock(&hand_lock);
	if (got != 0)
		return RECLAIM_SOME;
	if (!dirty)
		return RECLAIM_NOTHING;
	pause_a_little(TASK_KILLABLE);
	return RECLAIM_LATER;
}

void
reclaim_barrier(void)
{
	mutex_lock(&hand_lock);
	mutex_unlock(&hand_lock);
}
