/* SPDX-License-Identifier: MIT */
/*
 * Deferred freeing for readers without references (internal.h).  Objects wait
 * in a batch; a full batch waits until no CPU is in a read section that was
 * open when the batch was taken, then all are freed.  With one CPU nobody can
 * be in a section when another task frees, because sections do not block.
 */
#include "internal.h"

enum { GRACE_BATCH = 64 };

struct grace_entry {
	void *object;
	struct kcache *cache;
};

struct read_section read_sections[MAX_CPUS];

static spinlock_t grace_lock = SPINLOCK_INIT(50);
static struct grace_entry waiting[GRACE_BATCH];
static unsigned waiting_count;

static void
entry_free(const struct grace_entry *e)
{
	if (e->cache != NULL)
		kcache_free(e->cache, e->object);
	else
		kfree(e->object);
}

static void
grace_wait(void)
{
	unsigned cpus = cpu_count();

	/* Orders the unlinking of the objects before the looks; partner: read_begin. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < cpus; i++) {
		uint64_t n = __atomic_load_n(&read_sections[i].n, __ATOMIC_ACQUIRE);

		if ((n & 1) == 0)
			continue;
		while (__atomic_load_n(&read_sections[i].n, __ATOMIC_ACQUIRE) == n)
			arch_cpu_relax();
	}
}

static void
batch_free(const struct grace_entry *batch, unsigned count)
{
	if (count == 0)
		return;
	grace_wait();
	for (unsigned i = 0; i < count; i++)
		entry_free(&batch[i]);
}

void
grace_flush(void)
{
	struct grace_entry batch[GRACE_BATCH];
	unsigned count;

	spin_lock(&grace_lock);
	count = waiting_count;
	memcpy(batch, waiting, count * sizeof(batch[0]));
	waiting_count = 0;
	spin_unlock(&grace_lock);
	batch_free(batch, count);
}

void
grace_free(void *object, struct kcache *cache)
{
	struct grace_entry e = { object, cache };

	if (object == NULL)
		return;
	if (cpu_count() == 1) {
		entry_free(&e);
		return;
	}
	for (;;) {
		spin_lock(&grace_lock);
		if (waiting_count < GRACE_BATCH) {
			waiting[waiting_count++] = e;
			spin_unlock(&grace_lock);
			return;
		}
		spin_unlock(&grace_lock);
		grace_flush();
	}
}
