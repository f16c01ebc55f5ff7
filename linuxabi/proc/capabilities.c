/* SPDX-License-Identifier: MIT */
/*
 * Who may touch what: /proc/tessera/capabilities, which init makes when the file
 * is opened (proto/capabilities.h); a world that may not read it has none.  A line
 * for each record, "-" for what is empty,
 *
 *	<holder> <place> <purpose> <type> <rights> <target> <name> <line of system.conf>
 *	<first slot> <count> <badge> <bytes> <address> <physical>
 *
 * and /proc/tessera/system.conf, the text that init obeys.
 */
#include <proto/capabilities.h>
#include <proto/world.h>
#include <tessera/abi.h>
#include "arch.h"
#include "fs.h"
#include "hyp.h"
#include "sync.h"
#include "time.h"

enum { TRIES = 8,			/* crash reports in the middle */
	WAIT_MS = 2000 };

static const struct capability_list *list;
static struct mutex lock;

static const char *
name_of(const char *const *names, unsigned count, unsigned i)
{
	return i < count ? names[i] : "?";
}

static const char *
or_dash(const char *s)
{
	return s[0] != '\0' ? s : "-";
}

static void
show_record(struct seq *s, const struct capability *r)
{
	static const char *const purposes[] = CAPABILITY_NAMES, *const places[] = CAPABILITY_PLACES;
	static const char *const types[] = CAPABILITY_TYPES;
	const char rights[] = { r->rights & RIGHT_READ ? 'r' : '-', r->rights & RIGHT_WRITE ? 'w' : '-',
	    r->rights & RIGHT_EXEC ? 'x' : '-', r->rights & RIGHT_GRANT ? 'g' : '-', '\0' };

	_Static_assert(ARRAY_LEN(types) == OBJECT_TYPES && ARRAY_LEN(purposes) == CAPABILITY_PURPOSES,
	    "a name for each");
	seq_printf(s, "%s %s %s %s %s %s %s %u %u %u 0x%lx %lu 0x%lx 0x%lx\n", r->holder,
	    name_of(places, ARRAY_LEN(places), r->place), name_of(purposes, ARRAY_LEN(purposes), r->purpose),
	    name_of(types, ARRAY_LEN(types), r->type), rights, or_dash(r->target), or_dash(r->name), r->line,
	    r->slot, r->count, r->badge, r->bytes, r->address, r->physical);
}

/* Have a list made. */
static long
ask(void)
{
	const uint64_t before = __atomic_load_n(&list->serial, __ATOMIC_ACQUIRE);
	uint64_t now = before;

	hyp_signal(WORLD_SLOT_CAPABILITIES);
	for (unsigned ms = 0; ms < WAIT_MS; ms++) {
		now = __atomic_load_n(&list->serial, __ATOMIC_ACQUIRE);
		if (now % 2 == 0 && now >= before + 2)
			return 0;
		if (sleep_until(clock_monotonic() + 1000000) != 0)
			return -EINTR;
	}
	return -EIO;
}

/* A list that no crash report was written over; its size in records, or -errno. */
static long
take(struct capability *to)
{
	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t serial;
		uint32_t count;

		long error = ask();

		if (error != 0)
			return error;
		serial = __atomic_load_n(&list->serial, __ATOMIC_ACQUIRE);
		count = READ_ONCE(list->count);
		if (serial % 2 != 0 || count > CAPABILITIES_MAX)
			continue;
		memcpy(to, list->record, count * sizeof(*to));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (READ_ONCE(list->serial) == serial)
			return READ_ONCE(list->left_out) == 0 ? (long)count : -EOVERFLOW;
	}
	return -EAGAIN;
}

static long
show(struct seq *s, void *arg)
{
	struct capability *copy = kmalloc(CAPABILITIES_MAX * sizeof(*copy));
	long count;

	(void)arg;
	if (copy == NULL)
		return -ENOMEM;
	mutex_lock(&lock);
	count = take(copy);
	mutex_unlock(&lock);
	for (long i = 0; i < count; i++)
		show_record(s, &copy[i]);
	kfree(copy);
	return count < 0 ? count : 0;
}

static long
show_conf(struct seq *s, void *arg)
{
	(void)arg;
	seq_write(s, (const char *)list + list->conf_offset, list->conf_size);
	return 0;
}

void
capabilities_init(const struct world_info *w)
{
	if (w->capabilities == 0)
		return;
	list = ipa_to_virt(w->capabilities);
	mutex_init(&lock, 40);
	procfs_register("tessera/capabilities", show, NULL);
	procfs_register("tessera/system.conf", show_conf, NULL);
}
