/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX: how bytes, datagrams and what travels with them go, and when a socket
 * is ready.
 *
 * A writer copies into a segment without a lock and hangs it into its peer's
 * queue under the peer's socket->lock.  A reader holds socket->io: only it takes
 * from the head, so that it may touch user memory without the spinlock.
 */
#include "unix.h"

enum { DATAGRAM_OVERHEAD = 32 };

static struct kcache *segment_cache;

/* ---- segments ---- */

static void
segment_pages_put(struct segment *s, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		page_put(s->page[i]);
	if (s->page != s->place)
		kfree(s->page);
}

/* Not on any queue; no lock held. */
static void
segment_free(struct segment *s)
{
	struct unix_socket *owner = s->owner;

	if (s->pages != 0)
		segment_pages_put(s, s->pages);
	if (unlikely(s->rights != NULL))
		rights_drop(s->rights);
	unix_name_put(s->from);
	if (owner != NULL) {
		uint32_t left = __atomic_sub_fetch(&owner->sent, s->weight, __ATOMIC_RELAXED);

		if ((uint64_t)left * 4 <= READ_ONCE(owner->socket.send_buffer))
			waitq_wake(&owner->socket.writers, ~0u, POLLOUT | POLLWRNORM | POLLWRBAND);
		unix_put(owner);
	}
	kcache_free(segment_cache, s);
}

void
unix_segments_free(struct list *l)
{
	while (!list_empty(l)) {
		struct segment *s = list_first(l, struct segment, node);

		list_del(&s->node);
		segment_free(s);
	}
}

static long
segment_fill_pages(struct segment *s, struct uio *u, size_t n)
{
	unsigned count = (unsigned)((n + PAGE_SIZE - 1) / PAGE_SIZE), i = 0;
	long r = -ENOMEM;

	if (count > SEGMENT_PAGES) {
		s->page = kmalloc(count * sizeof(s->page[0]));
		if (s->page == NULL)
			return -ENOBUFS;
	}
	while (i < count) {
		size_t part = min(n, (size_t)PAGE_SIZE);

		s->page[i] = page_alloc(PG_USER);
		if (s->page[i] == NULL)
			goto fail;
		if (uio_get(u, page_virt(s->page[i++]), part) != part) {
			r = -EFAULT;
			goto fail;
		}
		n -= part;
	}
	s->pages = (uint16_t)count;
	s->weight += count * PAGE_SIZE;
	return 0;
fail:
	segment_pages_put(s, i);
	return r;
}

/* n bytes of u; ERR_PTR. */
static struct segment *
segment_make(struct uio *u, size_t n)
{
	struct segment *s = kcache_alloc(segment_cache);
	long r = 0;

	if (unlikely(s == NULL))
		return ERR_PTR(-ENOBUFS);
	list_init(&s->node);
	s->len = (uint32_t)n;
	s->off = 0;
	s->weight = SEGMENT_COST;
	s->pages = 0;
	s->has_credentials = false;
	s->rights = NULL;
	s->from = NULL;
	s->owner = NULL;
	s->page = s->place;
	if (n > SEGMENT_SMALL)
		r = segment_fill_pages(s, u, n);
	else if (uio_get(u, s->small, n) != n)
		r = -EFAULT;
	if (likely(r == 0))
		return s;
	kcache_free(segment_cache, s);
	return ERR_PTR(r);
}

/* Bytes from off on into u; fewer than n only at a bad address. */
static size_t
segment_put(const struct segment *s, uint32_t off, struct uio *u, size_t n)
{
	size_t done = 0;

	if (s->pages == 0)
		return uio_put(u, s->small + off, n);
	while (done < n) {
		size_t at = (off + done) % PAGE_SIZE, part = min(n - done, PAGE_SIZE - at);
		size_t moved = uio_put(u, (char *)page_virt(s->page[(off + done) / PAGE_SIZE]) + at, part);

		done += moved;
		if (moved < part)
			break;
	}
	return done;
}

/* ---- parts of sending ---- */

/* unix(7): who sends goes along when one of the two asks for it, or may yet. */
static void
add_credentials(struct segment *s, const struct unix_socket *u, const struct unix_socket *to, const struct message *m)
{
	if (unlikely(m->has_credentials)) {
		s->credentials = m->credentials;
	} else {
		if (likely(!u->socket.pass_credentials && !to->socket.pass_credentials && to->socket.file != NULL))
			return;
		s->credentials = (struct credentials){ current->process->pid, current->cred->uid, current->cred->gid };
	}
	s->has_credentials = true;
}

/* What the books say of our unread bytes. */
static inline uint32_t
outstanding(const struct unix_socket *u, const struct unix_socket *peer)
{
	return unix_connected_type(u) ? READ_ONCE(peer->queued) : READ_ONCE(u->sent);
}

static inline bool
has_no_room(const struct unix_socket *u, const struct unix_socket *peer)
{
	return outstanding(u, peer) >= READ_ONCE(u->socket.send_buffer);
}

static inline bool
cannot_go(const struct unix_socket *u, const struct unix_socket *peer)
{
	return (READ_ONCE(u->socket.shutdown) & SHUT_SEND) != 0 || (READ_ONCE(peer->socket.shutdown) & SHUT_RECEIVE) != 0;
}

/* Until there is room, or none is needed any more. */
static long
wait_for_room(struct unix_socket *u, struct unix_socket *peer, uint32_t flags, uint64_t deadline)
{
	long r = 0;

	while (has_no_room(u, peer) && !cannot_go(u, peer)) {
		struct waiter w;

		if (r < 0)
			return socket_wait_error(r, u->socket.send_timeout);
		if ((flags & MSG_DONTWAIT_) != 0)
			return -EAGAIN;
		waiter_init(&w);
		waitq_add_exclusive(&u->socket.writers, &w);
		task_prepare_wait(TASK_INTERRUPTIBLE);
		if (has_no_room(u, peer) && !cannot_go(u, peer))
			r = task_wait(deadline);
		task_finish_wait();
		waitq_remove(&u->socket.writers, &w);
	}
	return 0;
}

/* One wake-up brought one writer: if there is room left, it is the next one's turn. */
static void
pass_room_on(struct unix_socket *u, const struct unix_socket *peer)
{
	if (waitq_active(&u->socket.writers) && !has_no_room(u, peer))
		waitq_wake(&u->socket.writers, 1, POLLOUT | POLLWRNORM | POLLWRBAND);
}

static inline void
wake_reader(struct unix_socket *u)
{
	waitq_wake(&u->socket.readers, 1, POLLIN | POLLRDNORM | POLLRDBAND);
}

/* ---- streams: send ---- */

static long
stream_append(struct unix_socket *u, struct unix_socket *peer, struct segment *s, struct message *m)
{
	add_credentials(s, u, peer, m);
	spin_lock(&peer->socket.lock);
	if (unlikely(peer->dead || (peer->socket.shutdown & SHUT_RECEIVE) != 0)) {
		spin_unlock(&peer->socket.lock);
		segment_free(s);
		return -EPIPE;
	}
	s->rights = m->rights;
	list_add_tail(&peer->queue, &s->node);
	peer->queued += s->weight;
	spin_unlock(&peer->socket.lock);
	m->rights = NULL;
	wake_reader(peer);
	return 0;
}

static ssize_t
stream_send(struct unix_socket *u, struct message *m)
{
	uint64_t deadline = socket_deadline(u->socket.send_timeout);
	struct unix_socket *peer;
	ssize_t done = 0;
	long r = 0;

	if ((m->flags & MSG_OOB_) != 0)
		return -EOPNOTSUPP;
	if (__atomic_load_n(&u->state, __ATOMIC_ACQUIRE) != UNIX_CONNECTED)
		return m->name != NULL ? -EOPNOTSUPP : -ENOTCONN;
	if (m->name != NULL)
		return -EISCONN;
	peer = u->peer;
	if (cannot_go(u, peer))
		r = -EPIPE;
	while (r == 0 && m->data->resid > 0) {
		size_t n = min(m->data->resid, (size_t)STREAM_PIECE);
		struct segment *s;

		r = wait_for_room(u, peer, m->flags, deadline);
		if (r == 0 && (READ_ONCE(u->socket.shutdown) & SHUT_SEND) != 0)
			r = -EPIPE;
		if (r < 0)
			break;
		s = segment_make(m->data, n);
		if (IS_ERR(s)) {
			r = PTR_ERR(s);
			break;
		}
		r = stream_append(u, peer, s, m);
		if (r == 0)
			done += (ssize_t)n;
	}
	pass_room_on(u, peer);
	if (r == -EPIPE && done == 0 && (m->flags & MSG_NOSIGNAL_) == 0)
		signal_send_task(current, SIGPIPE, NULL);
	return done > 0 ? done : r;
}

/* ---- packets: send ---- */

/* The one it goes to, with a reference. */
static struct unix_socket *
destination(struct unix_socket *u, const struct message *m)
{
	struct unix_socket *to;

	if (m->name != NULL && !unix_connected_type(u))
		return unix_find(m->name, SOCK_DGRAM);
	spin_lock(&unix_lock);
	to = u->peer;
	if (to != NULL)
		unix_get(to);
	spin_unlock(&unix_lock);
	return to != NULL ? to : ERR_PTR(-ENOTCONN);
}

/* Somebody who is not connected to the sender keeps only so many messages waiting. */
static inline bool
queue_full(const struct unix_socket *u, const struct unix_socket *to)
{
	return to != u && READ_ONCE(to->peer) != u && !unix_connected_type(to) &&
	    READ_ONCE(to->queued) > READ_ONCE(to->backlog);
}

/* Takes s on success.  -EAGAIN: the queue is full. */
static long
packet_append(struct unix_socket *u, struct unix_socket *to, struct segment *s, struct message *m)
{
	long r = 0;

	spin_lock(&unix_lock);
	spin_lock(&to->socket.lock);
	if (!unix_may_send(u, to))
		r = -EPERM;
	else if (to->dead)
		r = unix_connected_type(u) ? -EPIPE : -ECONNREFUSED;
	else if ((to->socket.shutdown & SHUT_RECEIVE) != 0 || (u->socket.shutdown & SHUT_SEND) != 0)
		r = -EPIPE;
	else if (queue_full(u, to))
		r = -EAGAIN;
	if (r == 0) {
		add_credentials(s, u, to, m);
		s->from = unix_name_get(u->name);
		s->rights = m->rights;
		list_add_tail(&to->queue, &s->node);
		if (unix_connected_type(u)) {
			to->queued += s->weight;
		} else {
			to->queued++;
			s->owner = u;
			unix_get(u);
			__atomic_fetch_add(&u->sent, s->weight, __ATOMIC_RELAXED);
		}
		m->rights = NULL;
	}
	spin_unlock(&to->socket.lock);
	if (r == -ECONNREFUSED && !unix_disconnect(u, to))
		to = NULL;		/* it was not our peer: no reference of its to drop */
	spin_unlock(&unix_lock);
	if (r == -ECONNREFUSED)
		unix_put(to);
	return r;
}

static long
wait_for_queue(struct unix_socket *u, struct unix_socket *to, uint64_t deadline)
{
	struct waiter w;
	long r = 0;

	waiter_init(&w);
	waitq_add_exclusive(&to->senders, &w);
	task_prepare_wait(TASK_INTERRUPTIBLE);
	if (queue_full(u, to) && !READ_ONCE(to->dead) && (READ_ONCE(to->socket.shutdown) & SHUT_RECEIVE) == 0)
		r = task_wait(deadline);
	task_finish_wait();
	waitq_remove(&to->senders, &w);
	return r;
}

static long
packet_deliver(struct unix_socket *u, struct unix_socket *to, struct segment *s, struct message *m, uint64_t deadline)
{
	long r, waited = 0;

	for (;;) {
		r = packet_append(u, to, s, m);
		if (r != -EAGAIN)
			return r;
		if ((m->flags & MSG_DONTWAIT_) != 0)
			return r;
		if (waited < 0)
			return socket_wait_error(waited, u->socket.send_timeout);
		waited = wait_for_queue(u, to, deadline);
	}
}

static ssize_t
packet_send_to(struct unix_socket *u, struct unix_socket *to, struct message *m)
{
	uint64_t deadline = socket_deadline(u->socket.send_timeout);
	size_t total = m->data->resid;
	struct segment *s;
	long r;

	if (total > READ_ONCE(u->socket.send_buffer) - DATAGRAM_OVERHEAD)
		return -EMSGSIZE;
	r = wait_for_room(u, to, m->flags, deadline);
	if (r < 0)
		return r;
	s = segment_make(m->data, total);
	if (IS_ERR(s))
		return PTR_ERR(s);
	r = packet_deliver(u, to, s, m, deadline);
	if (r < 0) {
		segment_free(s);
		return r;
	}
	wake_reader(to);
	pass_room_on(u, to);
	return (ssize_t)total;
}

static ssize_t
packet_send(struct unix_socket *u, struct message *m)
{
	struct unix_socket *to;
	ssize_t r;

	if ((m->flags & MSG_OOB_) != 0)
		return -EOPNOTSUPP;
	if (unix_connected_type(u)) {
		r = -socket_take_error(&u->socket);
		if (r == 0 && READ_ONCE(u->state) != UNIX_CONNECTED)
			r = -ENOTCONN;
		if (r < 0)
			return r;
	}
	to = destination(u, m);
	if (IS_ERR(to))
		return PTR_ERR(to);
	r = u->socket.pass_credentials ? unix_autobind(u) : 0;
	if (r == 0)
		r = packet_send_to(u, to, m);
	unix_put(to);
	return r;
}

ssize_t
unix_send(struct socket *s, struct message *m)
{
	struct unix_socket *u = unix_of(s);

	return unix_stream(u) ? stream_send(u, m) : packet_send(u, m);
}

/* ---- parts of receiving ---- */

static struct segment *
first_segment(struct unix_socket *u)
{
	struct segment *s;

	spin_lock(&u->socket.lock);
	s = list_empty(&u->queue) ? NULL : list_first(&u->queue, struct segment, node);
	spin_unlock(&u->socket.lock);
	return s;
}

/* io is held, but not while this sleeps. */
static long
wait_for_message(struct unix_socket *u, uint64_t deadline)
{
	struct socket *s = &u->socket;
	struct waiter w;
	long r = 0;

	mutex_unlock(&s->io);
	waiter_init(&w);
	waitq_add_exclusive(&s->readers, &w);
	task_prepare_wait(TASK_INTERRUPTIBLE);
	if (list_empty(&u->queue) && (READ_ONCE(s->shutdown) & SHUT_RECEIVE) == 0 && READ_ONCE(s->error) == 0)
		r = task_wait(deadline);
	task_finish_wait();
	waitq_remove(&s->readers, &w);
	mutex_lock(&s->io);
	return r;
}

static void
report_credentials(struct message *m, const struct segment *s)
{
	m->has_credentials = true;
	m->credentials = s->has_credentials ? s->credentials : (struct credentials){ 0, 65534, 65534 };
}

/* MSG_PEEK leaves a second set of rights.  They stay while io is held: the collector takes only
 * those of sockets that nobody can read. */
static void
peek_rights(const struct segment *s, struct message *m)
{
	if (s->rights != NULL)
		m->rights = rights_copy(s->rights);
}

/* The sender may go on: streams and seqpackets. */
static void
wake_writer(struct unix_socket *peer, uint32_t queued)
{
	if ((uint64_t)queued * 4 <= READ_ONCE(peer->socket.send_buffer))
		waitq_wake(&peer->socket.writers, 1, POLLOUT | POLLWRNORM | POLLWRBAND);
}

/* ---- streams: receive ---- */

static bool
same_sender(const struct segment *a, const struct message *m)
{
	return a->has_credentials ? memcmp(&a->credentials, &m->credentials, sizeof(m->credentials)) == 0
	    : m->credentials.pid == 0;
}

/* n bytes of the head were taken: the next one, and what became free. */
static struct segment *
stream_consume(struct unix_socket *u, struct segment *s, uint32_t n, struct message *m, struct segment **gone)
{
	struct segment *next = s;

	spin_lock(&u->socket.lock);
	m->rights = s->rights;
	s->rights = NULL;
	s->off += n;
	*gone = NULL;
	if (s->off == s->len) {
		list_del(&s->node);
		u->queued -= s->weight;
		*gone = s;
		next = list_empty(&u->queue) ? NULL : list_first(&u->queue, struct segment, node);
	}
	spin_unlock(&u->socket.lock);
	return next;
}

static struct segment *
segment_after(struct unix_socket *u, struct segment *s)
{
	struct segment *next;

	spin_lock(&u->socket.lock);
	next = s->node.next == &u->queue ? NULL : list_entry(s->node.next, struct segment, node);
	spin_unlock(&u->socket.lock);
	return next;
}

/*
 * From the head on as much as there is: until the buffer is full, rights came, or
 * somebody else's bytes (where that shows); then *end says that the call is
 * complete.  io is held.
 */
static ssize_t
stream_take(struct unix_socket *u, struct segment *s, struct message *m, ssize_t before, bool *end)
{
	bool peek = (m->flags & MSG_PEEK_) != 0, credentials = READ_ONCE(u->socket.pass_credentials);
	ssize_t done = 0;

	while (s != NULL && m->data->resid > 0 && m->rights == NULL) {
		struct segment *gone = NULL;
		size_t n = min((size_t)(s->len - s->off), m->data->resid), moved;

		if (credentials && before + done > 0 && !same_sender(s, m)) {
			*end = true;
			break;
		}
		moved = segment_put(s, s->off, m->data, n);
		if (moved < n)
			*end = true;
		if (moved == 0)
			return done > 0 ? done : -EFAULT;
		if (credentials)
			report_credentials(m, s);
		done += (ssize_t)moved;
		if (peek) {
			peek_rights(s, m);
			s = moved < n ? NULL : segment_after(u, s);
			continue;
		}
		s = stream_consume(u, s, (uint32_t)moved, m, &gone);
		if (gone != NULL)
			segment_free(gone);
		if (moved < n)
			break;
	}
	return done;
}

static long
stream_empty(struct unix_socket *u, const struct message *m)
{
	int32_t error = socket_take_error(&u->socket);

	if (error != 0)
		return -error;
	if ((READ_ONCE(u->socket.shutdown) & SHUT_RECEIVE) != 0)
		return 0;
	return (m->flags & MSG_DONTWAIT_) != 0 ? -EAGAIN : 1;
}

static ssize_t
stream_receive_locked(struct unix_socket *u, struct message *m)
{
	size_t want = (m->flags & MSG_WAITALL_) != 0 && (m->flags & MSG_PEEK_) == 0 ? m->data->resid
	    : min(m->data->resid, (size_t)u->socket.low_water);
	uint64_t deadline = socket_deadline(u->socket.receive_timeout);
	ssize_t done = 0, r;
	long waited = 0;

	for (;;) {
		struct segment *s = first_segment(u);

		if (s != NULL) {
			bool end = (m->flags & MSG_PEEK_) != 0;

			r = stream_take(u, s, m, done, &end);
			if (r < 0)
				return done > 0 ? done : r;
			done += r;
			if (end || (size_t)done >= want || m->rights != NULL)
				return done;
			continue;
		}
		if ((size_t)done >= want)
			return done;
		if (waited < 0)
			return done > 0 ? done : socket_wait_error(waited, u->socket.receive_timeout);
		r = stream_empty(u, m);
		if (r <= 0)
			return done > 0 ? done : r;
		waited = wait_for_message(u, deadline);
	}
}

static ssize_t
stream_receive(struct unix_socket *u, struct message *m)
{
	struct unix_socket *peer;
	bool more;
	ssize_t r;

	if (__atomic_load_n(&u->state, __ATOMIC_ACQUIRE) != UNIX_CONNECTED)
		return -EINVAL;
	if ((m->flags & MSG_OOB_) != 0)
		return -EOPNOTSUPP;
	m->flags &= ~(uint32_t)MSG_TRUNC_;
	peer = u->peer;
	mutex_lock(&u->socket.io);
	r = stream_receive_locked(u, m);
	more = !list_empty(&u->queue);
	mutex_unlock(&u->socket.io);
	if (r > 0 && (m->flags & MSG_PEEK_) == 0)
		wake_writer(peer, READ_ONCE(u->queued));
	if (more && waitq_active(&u->socket.readers))
		wake_reader(u);
	if (m->name != NULL && r >= 0) {
		spin_lock(&unix_lock);
		m->name->len = 0;	/* a nameless peer has none to tell */
		if (peer->name != NULL)
			unix_name_copy(m->name, peer->name);
		spin_unlock(&unix_lock);
	}
	return r;
}

/* ---- packets: receive ---- */

/* Head of the queue; NULL: *r is the answer.  io is held. */
static struct segment *
packet_wait(struct unix_socket *u, const struct message *m, ssize_t *r)
{
	uint64_t deadline = socket_deadline(u->socket.receive_timeout);
	long waited = 0;

	for (;;) {
		struct segment *s;
		int32_t error = socket_take_error(&u->socket);
		bool end = (READ_ONCE(u->socket.shutdown) & SHUT_RECEIVE) != 0;

		if (error != 0) {
			*r = -error;
			return NULL;
		}
		s = first_segment(u);
		if (s != NULL)
			return s;
		*r = 0;
		if (end && ((m->flags & MSG_DONTWAIT_) == 0 || unix_connected_type(u)))
			return NULL;
		*r = -EAGAIN;
		if ((m->flags & MSG_DONTWAIT_) != 0)
			return NULL;
		*r = socket_wait_error(waited, u->socket.receive_timeout);
		if (waited < 0)
			return NULL;
		waited = wait_for_message(u, deadline);
	}
}

static uint32_t
packet_remove(struct unix_socket *u, struct segment *s, struct message *m)
{
	uint32_t left;

	spin_lock(&u->socket.lock);
	list_del(&s->node);
	u->queued -= unix_connected_type(u) ? s->weight : 1;
	left = u->queued;
	m->rights = s->rights;
	s->rights = NULL;
	spin_unlock(&u->socket.lock);
	return left;
}

static void
packet_gone(struct unix_socket *u, struct segment *s, uint32_t left)
{
	struct unix_socket *peer = unix_connected_type(u) ? u->peer : NULL;

	segment_free(s);
	if (peer != NULL)
		wake_writer(peer, left);
	else
		unix_unblock(u, 1);
}

static ssize_t
packet_receive(struct unix_socket *u, struct message *m)
{
	bool peek = (m->flags & MSG_PEEK_) != 0, whole = (m->flags & MSG_TRUNC_) != 0, more;
	uint32_t left = 0;
	struct segment *s;
	ssize_t r = 0;
	size_t n;

	if (unix_connected_type(u) && __atomic_load_n(&u->state, __ATOMIC_ACQUIRE) != UNIX_CONNECTED)
		return -ENOTCONN;
	if ((m->flags & MSG_OOB_) != 0)
		return -EOPNOTSUPP;
	m->flags &= ~(uint32_t)MSG_TRUNC_;
	mutex_lock(&u->socket.io);
	s = packet_wait(u, m, &r);
	if (s == NULL) {
		mutex_unlock(&u->socket.io);
		return r;
	}
	n = min((size_t)s->len, m->data->resid);
	r = whole ? (ssize_t)s->len : (ssize_t)n;
	if (n < s->len)
		m->flags |= MSG_TRUNC_;
	if (segment_put(s, 0, m->data, n) != n)
		r = -EFAULT;
	if (m->name != NULL) {
		m->name->len = 0;
		if (s->from != NULL)
			unix_name_copy(m->name, s->from);
	}
	if (READ_ONCE(u->socket.pass_credentials))
		report_credentials(m, s);
	if (peek)
		peek_rights(s, m);
	else
		left = packet_remove(u, s, m);
	more = !list_empty(&u->queue);
	mutex_unlock(&u->socket.io);
	if (!peek)
		packet_gone(u, s, left);
	if (more && waitq_active(&u->socket.readers))
		wake_reader(u);
	if (r < 0) {
		rights_drop(m->rights);
		m->rights = NULL;
	}
	return r;
}

ssize_t
unix_receive(struct socket *s, struct message *m)
{
	struct unix_socket *u = unix_of(s);

	m->has_credentials = false;
	return unix_stream(u) ? stream_receive(u, m) : packet_receive(u, m);
}

/* ---- readiness ---- */

void
unix_unblock(struct unix_socket *u, unsigned count)
{
	waitq_wake(&u->senders, count, 0);
	if (list_empty(&u->blocked))
		return;
	spin_lock(&unix_lock);
	while (!list_empty(&u->blocked)) {
		struct unix_socket *v = list_first(&u->blocked, struct unix_socket, blocked_node);

		list_del(&v->blocked_node);
		waitq_wake(&v->socket.writers, ~0u, POLLOUT | POLLWRNORM | POLLWRBAND);
	}
	spin_unlock(&unix_lock);
}

/* Is the queue of the one we are connected to full?  Then it tells us when it is not. */
static bool
peer_blocks(struct unix_socket *u)
{
	struct unix_socket *to;
	bool blocks;

	if (READ_ONCE(u->peer) == NULL)
		return false;
	spin_lock(&unix_lock);
	to = u->peer;
	blocks = to != NULL && !READ_ONCE(to->dead) && queue_full(u, to);
	if (blocks) {
		if (list_empty(&u->blocked_node))
			list_add_tail(&to->blocked, &u->blocked_node);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* on the list before the second look; partner: waitq_wake in unix_unblock */
		blocks = queue_full(u, to);
	}
	spin_unlock(&unix_lock);
	return blocks;
}

static bool
writable(struct unix_socket *u)
{
	enum unix_state state = __atomic_load_n(&u->state, __ATOMIC_ACQUIRE);
	uint32_t out = 0;

	if (state == UNIX_LISTENING)
		return false;
	if (!unix_connected_type(u))
		out = READ_ONCE(u->sent);
	else if (state == UNIX_CONNECTED)
		out = READ_ONCE(u->peer->queued);
	if ((uint64_t)out * 4 > READ_ONCE(u->socket.send_buffer))
		return false;
	return unix_connected_type(u) || !peer_blocks(u);
}

unsigned
unix_poll(struct socket *s, struct file *f, struct poll_table *pt)
{
	struct unix_socket *u = unix_of(s);
	uint32_t shutdown;
	unsigned events = 0;

	poll_wait(pt, f, &s->readers);
	poll_wait(pt, f, &s->writers);
	shutdown = READ_ONCE(s->shutdown);
	if (READ_ONCE(s->error) != 0)
		events |= POLLERR;
	if (shutdown == SHUT_BOTH)
		events |= POLLHUP;
	if ((shutdown & SHUT_RECEIVE) != 0)
		events |= POLLRDHUP | POLLIN | POLLRDNORM;
	if (!list_empty(&u->queue) || !list_empty(&u->waiting))
		events |= POLLIN | POLLRDNORM;
	if (unix_connected_type(u) && READ_ONCE(u->state) == UNIX_FREE)
		events |= POLLHUP;
	if (writable(u))
		events |= POLLOUT | POLLWRNORM | POLLWRBAND;
	return events;
}

long
unix_queued(struct socket *s, bool out)
{
	struct unix_socket *u = unix_of(s);
	enum unix_state state = __atomic_load_n(&u->state, __ATOMIC_ACQUIRE);
	struct segment *g;
	long n = 0;

	if (out && unix_connected_type(u))
		return state == UNIX_CONNECTED ? (long)READ_ONCE(u->peer->queued) : 0;
	if (out)
		return (long)READ_ONCE(u->sent);
	if (state == UNIX_LISTENING)
		return -EINVAL;
	spin_lock(&s->lock);
	list_for_each(g, &u->queue, node) {
		n += g->len - g->off;
		if (!unix_connected_type(u))
			break;
	}
	spin_unlock(&s->lock);
	return n;
}

void
unix_data_init(void)
{
	segment_cache = kcache_create("unix_message", sizeof(struct segment), 64);
	if (segment_cache == NULL)
		panic("no memory for messages");
}
