/* SPDX-License-Identifier: MIT */
/*
 * Open files in flight, unix(7) SCM_RIGHTS, and what becomes of sockets that
 * nobody can reach any more because they lie in each other's queues.
 *
 * The collector marks and sweeps: a socket is a candidate when every reference
 * to its file is in flight.  Those that are in flight only within queues of
 * candidates, and not reachable from one that is in flight elsewhere, are
 * garbage: their queues lose their rights, and the files go with the last of them.
 */
#include <asm/resource.h>
#include "unix.h"

enum { UIDS = 64, COLLECT_LEAST = 16000 };

spinlock_t unix_lock = SPINLOCK_INIT(49);
static struct list inflight_sockets = LIST_INIT(inflight_sockets);
static uint32_t inflight_by_uid[UIDS];		/* users whose numbers meet share a limit */
static uint32_t inflight_unix;
static uint32_t collect_at = COLLECT_LEAST;	/* twice what the last collection left */
static bool collecting;

/* ---- take off, land ---- */

static struct unix_socket *
unix_of_file(const struct file *f)
{
	struct socket *s = socket_of(f);

	return s != NULL && unix_is(s) ? unix_of(s) : NULL;
}

static void
account(struct rights *r, int delta)
{
	spin_lock(&unix_lock);
	inflight_by_uid[r->uid % UIDS] += (uint32_t)delta * r->count;
	for (uint32_t i = 0; i < r->count; i++) {
		struct unix_socket *u = unix_of_file(r->file[i]);

		if (u == NULL)
			continue;
		if (u->inflight == 0)
			list_add_tail(&inflight_sockets, &u->inflight_node);
		u->inflight += (uint32_t)delta;
		if (u->inflight == 0)
			list_del(&u->inflight_node);
		inflight_unix += (uint32_t)delta;
	}
	spin_unlock(&unix_lock);
}

static bool
too_many(unsigned count)
{
	if (net_capable(CAP_SYS_RESOURCE) || net_capable(CAP_SYS_ADMIN))
		return false;
	return READ_ONCE(inflight_by_uid[current->cred->uid % UIDS]) + count > rlimit(RLIMIT_NOFILE);
}

static struct rights *
rights_alloc(unsigned count)
{
	struct rights *r = kmalloc(sizeof(*r) + count * sizeof(r->file[0]));

	if (r != NULL) {
		r->next = NULL;
		r->count = 0;
		r->uid = current->cred->uid;
	}
	return r;
}

static void
files_drop(struct rights *r)
{
	for (uint32_t i = 0; i < r->count; i++)
		file_put(r->file[i]);
	kfree(r);
}

struct rights *
rights_get(const int *fds, unsigned count)
{
	struct rights *r;

	if (READ_ONCE(inflight_unix) > READ_ONCE(collect_at) || too_many(count))
		rights_collect();
	if (too_many(count))
		return ERR_PTR(-ETOOMANYREFS);
	r = rights_alloc(count);
	if (r == NULL)
		return ERR_PTR(-ENOMEM);
	for (unsigned i = 0; i < count; i++) {
		struct file *f = fd_get_any(fds[i]);

		if (f == NULL) {
			files_drop(r);
			return ERR_PTR(-EBADF);
		}
		r->file[r->count++] = f;
	}
	account(r, 1);
	return r;
}

struct rights *
rights_copy(const struct rights *from)
{
	struct rights *r = rights_alloc(from->count);

	if (r == NULL)
		return NULL;
	r->uid = from->uid;
	for (uint32_t i = 0; i < from->count; i++) {
		r->file[r->count++] = from->file[i];
		file_get(from->file[i]);
	}
	account(r, 1);
	return r;
}

void
rights_landed(struct rights *r)
{
	account(r, -1);
}

/*
 * A socket that goes may hold rights to sockets that go with it, and so on: a
 * nested call leaves its part to the outermost one, so that the stack stays flat.
 */
void
rights_drop(struct rights *r)
{
	struct rights list, *next;

	if (r == NULL)
		return;
	account(r, -1);
	if (current->rights_dying != NULL) {
		r->next = current->rights_dying->next;
		current->rights_dying->next = r;
		return;
	}
	list.next = NULL;
	current->rights_dying = &list;
	for (; r != NULL; r = next) {
		files_drop(r);
		next = list.next;
		if (next != NULL)
			list.next = next->next;
	}
	current->rights_dying = NULL;
}

/* ---- the collector; unix_lock is held ---- */

static void
each_right(struct unix_socket *u, void (*fn)(struct unix_socket *))
{
	struct segment *s;

	spin_lock(&u->socket.lock);
	list_for_each(s, &u->queue, node) {
		for (uint32_t i = 0; s->rights != NULL && i < s->rights->count; i++) {
			struct unix_socket *v = unix_of_file(s->rights->file[i]);

			if (v != NULL && v->candidate)
				fn(v);
		}
	}
	spin_unlock(&u->socket.lock);
}

/* Its own queue, and those of connections that wait to be accepted. */
static void
each_child(struct unix_socket *u, void (*fn)(struct unix_socket *))
{
	struct unix_socket *w;

	each_right(u, fn);
	if (u->state != UNIX_LISTENING)
		return;
	list_for_each(w, &u->waiting, waiting)
		each_right(w, fn);
}

static struct list *reached;		/* of the collection that runs: to be looked into */

static void count_found(struct unix_socket *u) { u->found++; }

static void
reach(struct unix_socket *u)
{
	u->candidate = false;
	list_del(&u->inflight_node);
	list_add_tail(reached, &u->inflight_node);
}

/* What is left on `candidates` afterwards is garbage. */
static void
mark(struct list *candidates, struct list *live)
{
	struct unix_socket *u, *tmp;

	list_for_each_safe(u, tmp, &inflight_sockets, inflight_node) {
		struct file *f = READ_ONCE(u->socket.file);

		u->found = 0;
		u->candidate = f != NULL && (uint32_t)ref_read(&f->refs) == u->inflight;
		if (u->candidate) {
			list_del(&u->inflight_node);
			list_add_tail(candidates, &u->inflight_node);
		}
	}
	list_for_each(u, candidates, inflight_node)
		each_child(u, count_found);
	reached = live;
	list_for_each_safe(u, tmp, candidates, inflight_node)
		if (u->candidate && u->found < u->inflight)
			reach(u);
	list_for_each(u, live, inflight_node)
		each_child(u, reach);
}

static void
take_rights(struct unix_socket *u, struct rights **out)
{
	struct segment *s;

	spin_lock(&u->socket.lock);
	list_for_each(s, &u->queue, node)
		if (s->rights != NULL) {
			s->rights->next = *out;
			*out = s->rights;
			s->rights = NULL;
		}
	spin_unlock(&u->socket.lock);
}

static void
splice_tail(struct list *to, struct list *from)
{
	while (!list_empty(from)) {
		struct list *e = from->next;

		list_del(e);
		list_add_tail(to, e);
	}
}

static struct rights *
garbage_rights(void)
{
	struct list candidates = LIST_INIT(candidates), live = LIST_INIT(live);
	struct rights *out = NULL;
	struct unix_socket *u, *w;

	mark(&candidates, &live);
	list_for_each(u, &candidates, inflight_node) {
		u->candidate = false;
		take_rights(u, &out);
		if (u->state == UNIX_LISTENING)
			list_for_each(w, &u->waiting, waiting)
				take_rights(w, &out);
	}
	splice_tail(&inflight_sockets, &candidates);
	splice_tail(&inflight_sockets, &live);
	return out;
}

void
rights_collect(void)
{
	struct rights *out;

	/* What is being dropped may end many sockets: once, afterwards, is enough. */
	if (READ_ONCE(inflight_unix) == 0 || current->rights_dying != NULL)
		return;
	if (__atomic_exchange_n(&collecting, true, __ATOMIC_ACQUIRE))
		return;
	spin_lock(&unix_lock);
	out = garbage_rights();
	spin_unlock(&unix_lock);
	while (out != NULL) {
		struct rights *next = out->next;

		rights_drop(out);
		out = next;
	}
	WRITE_ONCE(collect_at, max(READ_ONCE(inflight_unix) * 2, (uint32_t)COLLECT_LEAST));
	__atomic_store_n(&collecting, false, __ATOMIC_RELEASE);
}
