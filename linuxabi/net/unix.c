/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX, unix(7): names, connections, life and death.  How messages go is in
 * unix_data.c.
 *
 * A socket lives as long as its file, its peer or a message refers to it.  Two
 * connected ones refer to each other until their files are released; a dead one
 * takes no more messages and has none.
 */
#include "unix.h"

enum { BUCKETS = 128, SUN_PATH = sizeof(((struct sockaddr_un *)0)->sun_path), FAMILY_LEN = 2, PATH_AT = 2 };
enum { AUTOBIND_NAMES = 1 << 20, DATAGRAMS_MAX = 10 /* net.unix.max_dgram_qlen */ };

static struct kcache *unix_cache;
static struct unix_socket *buckets[BUCKETS];	/* bound ones, by name or by inode */
static struct list all_sockets = LIST_INIT(all_sockets);
static uint32_t autobind_next;

/* ---- names ---- */

struct unix_name *
unix_name_get(struct unix_name *n)
{
	if (n != NULL)
		ref_get(&n->refs);
	return n;
}

void
unix_name_put(struct unix_name *n)
{
	if (n != NULL && ref_put(&n->refs))
		kfree(n);
}

/* A socket without a name is AF_UNIX and nothing else. */
void
unix_name_copy(struct address *a, const struct unix_name *n)
{
	a->len = n == NULL ? FAMILY_LEN : n->len;
	if (n == NULL)
		a->family = AF_UNIX_;
	else
		memcpy(a->bytes, &n->addr, n->len);
}

static bool is_abstract(const struct unix_name *n) { return n->addr.sun_path[0] == '\0'; }

static struct unix_name *
name_new(const void *bytes, uint32_t len)
{
	struct unix_name *n = kzalloc(sizeof(*n));

	if (n == NULL)
		return NULL;
	ref_init(&n->refs, 1);
	n->len = len;
	n->addr.sun_family = AF_UNIX_;
	memcpy(n->addr.sun_path, bytes, len - PATH_AT);
	return n;
}

static long
address_check(const struct address *a)
{
	if (a->len <= FAMILY_LEN || a->len > sizeof(struct sockaddr_un))
		return -EINVAL;
	return a->family == AF_UNIX_ ? 0 : -EINVAL;
}

/* The text of a name in a file system, with its NUL (which the address may lack). */
static uint32_t
path_text_of(const struct address *a, char text[SUN_PATH + 1])
{
	uint32_t len = a->len - PATH_AT;

	memcpy(text, a->un.sun_path, len);
	text[len] = '\0';
	return (uint32_t)strlen(text);
}

static unsigned
hash_bytes(const char *s, uint32_t len, unsigned type)
{
	uint32_t h = 2166136261u ^ type;

	for (uint32_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)s[i]) * 16777619u;
	return (h ^ h >> 16) % BUCKETS;
}

static unsigned hash_inode(const struct inode *i) { return (unsigned)((uint64_t)i >> 6) % BUCKETS; }

/* ---- the table; unix_lock is held ---- */

static struct unix_socket *
find_abstract(const char *path, uint32_t len, unsigned type)
{
	struct unix_socket *u = buckets[hash_bytes(path, len, type)];

	for (; u != NULL; u = u->hash_next)
		if (u->socket.type == type && u->path.dentry == NULL && u->name->len == len + PATH_AT &&
		    memcmp(u->name->addr.sun_path, path, len) == 0)
			return u;
	return NULL;
}

static struct unix_socket *
find_inode(const struct inode *i)
{
	struct unix_socket *u = buckets[hash_inode(i)];

	while (u != NULL && (u->path.dentry == NULL || u->path.dentry->inode != i))
		u = u->hash_next;
	return u;
}

static unsigned
bucket_of(const struct unix_socket *u)
{
	if (u->path.dentry != NULL)
		return hash_inode(u->path.dentry->inode);
	return hash_bytes(u->name->addr.sun_path, u->name->len - PATH_AT, u->socket.type);
}

static void
table_add(struct unix_socket *u)
{
	struct unix_socket **head = &buckets[bucket_of(u)];

	u->hash_next = *head;
	*head = u;
	u->hashed = true;
}

static void
table_remove(struct unix_socket *u)
{
	struct unix_socket **p = &buckets[bucket_of(u)];

	while (*p != u)
		p = &(*p)->hash_next;
	*p = u->hash_next;
	u->hashed = false;
}

/* ---- finding ---- */

static struct unix_socket *
find_by_path(const struct address *a)
{
	char text[SUN_PATH + 1];
	struct unix_socket *u = NULL;
	struct path path;
	long r;

	path_text_of(a, text);
	r = path_walk(AT_FDCWD, text, WALK_FOLLOW, &path);
	if (r < 0)
		return ERR_PTR(r);
	r = inode_permission(path.dentry->inode, MAY_WRITE);
	if (r == 0 && (path.dentry->inode->mode & S_IFMT) != S_IFSOCK)
		r = -ECONNREFUSED;
	if (r == 0) {
		spin_lock(&unix_lock);
		u = find_inode(path.dentry->inode);
		if (u != NULL)
			unix_get(u);
		spin_unlock(&unix_lock);
		r = u == NULL ? -ECONNREFUSED : 0;
	}
	path_put(&path);
	return r < 0 ? ERR_PTR(r) : u;
}

struct unix_socket *
unix_find(const struct address *a, unsigned type)
{
	struct unix_socket *u;
	long r = address_check(a);

	if (r < 0)
		return ERR_PTR(r);
	if (a->un.sun_path[0] != '\0') {
		u = find_by_path(a);
	} else {
		spin_lock(&unix_lock);
		u = find_abstract(a->un.sun_path, a->len - PATH_AT, type);
		if (u != NULL)
			unix_get(u);
		spin_unlock(&unix_lock);
		if (u == NULL)
			u = ERR_PTR(-ECONNREFUSED);
	}
	if (!IS_ERR(u) && u->socket.type != type) {
		unix_put(u);
		u = ERR_PTR(-EPROTOTYPE);
	}
	return u;
}

/* ---- life ---- */

static const struct socket_ops unix_ops;

bool unix_is(const struct socket *s) { return s->ops == &unix_ops; }

static struct unix_socket *
unix_new(unsigned type)
{
	struct unix_socket *u = kcache_zalloc(unix_cache);

	if (u == NULL)
		return NULL;
	socket_setup(&u->socket, &unix_ops, AF_UNIX_, type);
	u->peer_credentials = (struct credentials){ 0, UINT32_MAX, UINT32_MAX };
	waitq_init(&u->senders);
	list_init(&u->queue);
	list_init(&u->waiting);
	u->backlog = DATAGRAMS_MAX;
	list_init(&u->blocked);
	list_init(&u->blocked_node);
	list_init(&u->inflight_node);
	spin_lock(&unix_lock);
	list_add_tail(&all_sockets, &u->all);
	spin_unlock(&unix_lock);
	return u;
}

struct socket *
unix_create(unsigned type)
{
	struct unix_socket *u = unix_new(type);

	return u == NULL ? NULL : &u->socket;
}

void unix_get(struct unix_socket *u) { ref_get(&u->socket.refs); }

void
unix_put(struct unix_socket *u)
{
	if (u == NULL || !ref_put(&u->socket.refs))
		return;
	assert(list_empty(&u->queue));
	spin_lock(&unix_lock);
	list_del(&u->all);
	spin_unlock(&unix_lock);
	unix_name_put(u->name);
	kcache_free(unix_cache, u);
}

static struct credentials
my_credentials(void)
{
	return (struct credentials){ current->process->pid, current->cred->euid, current->cred->egid };
}

long
unix_pair(struct socket *sa, struct socket *sb)
{
	struct unix_socket *a = unix_of(sa), *b = unix_of(sb);

	unix_get(a);
	unix_get(b);
	a->peer = b;
	b->peer = a;
	a->peer_credentials = b->peer_credentials = my_credentials();
	a->state = b->state = UNIX_CONNECTED;
	return 0;
}

/* ---- the end ---- */

static void
wake_all(struct unix_socket *u)
{
	waitq_wake(&u->socket.readers, ~0u, POLLIN | POLLRDNORM | POLLRDHUP | POLLHUP | POLLERR);
	waitq_wake(&u->socket.writers, ~0u, POLLOUT | POLLWRNORM | POLLHUP | POLLERR);
}

/* No message comes any more; those that are there go to `out`. */
static void
socket_die(struct unix_socket *u, struct list *out)
{
	spin_lock(&u->socket.lock);
	u->dead = true;
	u->socket.shutdown = SHUT_BOTH;
	while (!list_empty(&u->queue)) {
		struct list *e = u->queue.next;

		list_del(e);
		list_add_tail(out, e);
	}
	u->queued = 0;
	spin_unlock(&u->socket.lock);
}

static void
peer_hangs_up(struct unix_socket *peer, bool reset)
{
	spin_lock(&peer->socket.lock);
	WRITE_ONCE(peer->socket.shutdown, SHUT_BOTH);
	if (reset)
		WRITE_ONCE(peer->socket.error, ECONNRESET);
	spin_unlock(&peer->socket.lock);
	wake_all(peer);
}

/* The file of u is gone, or it never had one (`embryo`: nobody accepted it). */
static void
unix_end(struct unix_socket *u, bool embryo)
{
	struct list messages = LIST_INIT(messages);
	struct path path = { NULL, NULL };
	struct unix_socket *peer;
	bool unread;

	spin_lock(&unix_lock);
	WRITE_ONCE(u->socket.file, NULL);
	if (u->hashed) {
		table_remove(u);
		path = u->path;
		u->path = (struct path){ NULL, NULL };
	}
	peer = u->peer;
	u->peer = NULL;
	list_del(&u->blocked_node);
	spin_unlock(&unix_lock);
	socket_die(u, &messages);
	unread = !list_empty(&messages);
	if (peer != NULL && unix_connected_type(u))
		peer_hangs_up(peer, unread || embryo);
	unix_unblock(u, ~0u);
	wake_all(u);
	unix_segments_free(&messages);
	if (path.dentry != NULL)
		path_put(&path);
	unix_put(peer);
	unix_put(u);
}

static void
refuse_waiting(struct unix_socket *u)
{
	for (;;) {
		struct unix_socket *w = NULL;

		spin_lock(&unix_lock);
		u->state = UNIX_FREE;
		if (!list_empty(&u->waiting)) {
			w = list_first(&u->waiting, struct unix_socket, waiting);
			list_del(&w->waiting);
		}
		spin_unlock(&unix_lock);
		if (w == NULL)
			return;
		unix_end(w, true);
	}
}

static void
unix_release(struct socket *s)
{
	struct unix_socket *u = unix_of(s);

	if (u->state == UNIX_LISTENING)
		refuse_waiting(u);
	unix_end(u, false);
	rights_collect();
}

/* ---- bind ---- */

static long
bind_name(struct unix_socket *u, struct unix_name *n, const struct path *path)
{
	long r = 0;

	spin_lock(&unix_lock);
	if (u->name != NULL)
		r = -EINVAL;
	else if (path == NULL && find_abstract(n->addr.sun_path, n->len - PATH_AT, u->socket.type) != NULL)
		r = -EADDRINUSE;
	if (r == 0) {
		u->name = n;
		if (path != NULL)
			u->path = *path;
		table_add(u);
	}
	spin_unlock(&unix_lock);
	return r;
}

/* unix(7): five hexadecimal digits that nobody has. */
long
unix_autobind(struct unix_socket *u)
{
	struct unix_name *n;
	char text[7];
	long r;

	if (READ_ONCE(u->name) != NULL)
		return 0;
	for (unsigned i = 0; i < AUTOBIND_NAMES; i++) {
		text[0] = '\0';
		ksnprintf(text + 1, 6, "%05x", __atomic_fetch_add(&autobind_next, 1, __ATOMIC_RELAXED) % AUTOBIND_NAMES);
		n = name_new(text, PATH_AT + 6);
		if (n == NULL)
			return -ENOMEM;
		r = bind_name(u, n, NULL);
		if (r == 0)
			return 0;
		unix_name_put(n);
		if (r == -EINVAL)
			return 0;		/* another thread was faster */
	}
	return -ENOSPC;
}

static long
bind_path(struct unix_socket *u, const struct address *a)
{
	char text[SUN_PATH + 1];
	uint32_t len = path_text_of(a, text);
	struct unix_name *n;
	struct path path;
	long r;

	n = name_new(text, PATH_AT + min(len + 1, (uint32_t)SUN_PATH));
	if (n == NULL)
		return -ENOMEM;
	r = path_mknod(text, S_IFSOCK | 0777, &path);
	if (r == 0) {
		r = bind_name(u, n, &path);
		if (r < 0)
			path_put(&path);
	}
	if (r < 0)
		unix_name_put(n);
	return r == -EEXIST ? -EADDRINUSE : r;
}

static long
unix_bind(struct socket *s, const struct address *a)
{
	struct unix_socket *u = unix_of(s);
	struct unix_name *n;
	long r;

	if (a->len == FAMILY_LEN && a->family == AF_UNIX_)
		return unix_autobind(u);
	r = address_check(a);
	if (r < 0)
		return r;
	if (READ_ONCE(u->name) != NULL)
		return -EINVAL;
	if (a->un.sun_path[0] != '\0')
		return bind_path(u, a);
	n = name_new(a->un.sun_path, a->len);
	if (n == NULL)
		return -ENOMEM;
	r = bind_name(u, n, NULL);
	if (r < 0)
		unix_name_put(n);
	return r;
}

/* ---- listen, connect, accept ---- */

static long
unix_listen(struct socket *s, int backlog)
{
	struct unix_socket *u = unix_of(s);
	long r = 0;

	if (!unix_connected_type(u))
		return -EOPNOTSUPP;
	spin_lock(&unix_lock);
	if (u->name == NULL || u->state == UNIX_CONNECTED) {
		r = -EINVAL;
	} else {
		u->backlog = (uint32_t)backlog;
		u->state = UNIX_LISTENING;
		u->peer_credentials = my_credentials();
		WRITE_ONCE(s->listening, true);
	}
	spin_unlock(&unix_lock);
	if (r == 0)
		waitq_wake(&u->senders, ~0u, 0);
	return r;
}

/* unix_lock held.  1: the queue of the listener is full. */
static long
connect_locked(struct unix_socket *u, struct unix_socket *to, struct unix_socket *new)
{
	if (u->state != UNIX_FREE)
		return u->state == UNIX_CONNECTED ? -EISCONN : -EINVAL;
	if (to->state != UNIX_LISTENING || to->dead || (to->socket.shutdown & SHUT_RECEIVE) != 0)
		return -ECONNREFUSED;
	if (to->waiting_count > to->backlog)
		return 1;
	unix_get(u);
	unix_get(new);			/* one for u, the first one for the listener's queue */
	new->peer = u;
	u->peer = new;
	new->name = unix_name_get(to->name);
	new->peer_credentials = my_credentials();
	u->peer_credentials = to->peer_credentials;
	new->socket.pass_credentials = to->socket.pass_credentials;
	new->state = UNIX_CONNECTED;
	__atomic_store_n(&u->state, UNIX_CONNECTED, __ATOMIC_RELEASE);
	list_add_tail(&to->waiting, &new->waiting);
	to->waiting_count++;
	return 0;
}

static long
wait_for_backlog(struct unix_socket *u, struct unix_socket *to, uint64_t deadline)
{
	struct waiter w;
	long r = 0;

	waiter_init(&w);
	waitq_add_exclusive(&to->senders, &w);
	task_prepare_wait(TASK_INTERRUPTIBLE);
	if (READ_ONCE(to->waiting_count) > READ_ONCE(to->backlog) && !READ_ONCE(to->dead))
		r = task_wait(deadline);
	task_finish_wait();
	waitq_remove(&to->senders, &w);
	return socket_wait_error(r, u->socket.send_timeout);
}

static long
connect_stream(struct unix_socket *u, const struct address *a, bool nonblock)
{
	uint64_t deadline = socket_deadline(u->socket.send_timeout);
	struct unix_socket *to, *new = unix_new(u->socket.type);
	long r;

	if (new == NULL)
		return -ENOMEM;
	do {
		to = unix_find(a, u->socket.type);
		if (IS_ERR(to)) {
			r = PTR_ERR(to);
			break;
		}
		spin_lock(&unix_lock);
		r = connect_locked(u, to, new);
		spin_unlock(&unix_lock);
		if (r == 0) {
			waitq_wake(&to->socket.readers, 1, POLLIN | POLLRDNORM);
			waitq_wake(&u->socket.writers, ~0u, POLLOUT | POLLWRNORM);
		} else if (r == 1) {
			r = nonblock ? -EAGAIN : wait_for_backlog(u, to, deadline);
			if (r == 0)
				r = 1;		/* try again */
		}
		unix_put(to);
	} while (r == 1);
	if (r < 0)
		unix_end(new, true);
	return r;
}

bool
unix_may_send(const struct unix_socket *from, const struct unix_socket *to)
{
	const struct unix_socket *its = READ_ONCE(to->peer);

	return its == NULL || its == from;
}

/* What came from the former peer is dropped, as on Linux. */
static void
queue_purge(struct unix_socket *u)
{
	struct list messages = LIST_INIT(messages);

	spin_lock(&u->socket.lock);
	while (!list_empty(&u->queue)) {
		struct list *e = u->queue.next;

		list_del(e);
		list_add_tail(&messages, e);
	}
	u->queued = 0;
	spin_unlock(&u->socket.lock);
	unix_segments_free(&messages);
	unix_unblock(u, ~0u);
}

/* unix_lock held.  The peer, whose reference is the caller's now. */
static struct unix_socket *
peer_replace(struct unix_socket *u, struct unix_socket *to)
{
	struct unix_socket *was = u->peer;

	u->peer = to;
	u->state = to != NULL ? UNIX_CONNECTED : UNIX_FREE;
	list_del(&u->blocked_node);
	return was;
}

bool
unix_disconnect(struct unix_socket *u, struct unix_socket *was)
{
	if (u->peer != was)
		return false;
	peer_replace(u, NULL);
	return true;
}

static long
connect_datagram(struct unix_socket *u, const struct address *a)
{
	struct unix_socket *to = NULL, *was;
	long r = 0;

	if (a->len < FAMILY_LEN)
		return -EINVAL;
	if (a->family != AF_UNSPEC_) {
		if (u->socket.pass_credentials) {
			r = unix_autobind(u);
			if (r < 0)
				return r;
		}
		to = unix_find(a, SOCK_DGRAM);
		if (IS_ERR(to))
			return PTR_ERR(to);
	}
	spin_lock(&unix_lock);
	if (to != NULL && !unix_may_send(u, to)) {
		spin_unlock(&unix_lock);
		unix_put(to);
		return -EPERM;
	}
	was = peer_replace(u, to);
	spin_unlock(&unix_lock);
	if (was != NULL && was != to) {
		queue_purge(u);
		if (READ_ONCE(was->peer) == u) {
			WRITE_ONCE(was->socket.error, ECONNRESET);
			wake_all(was);
		}
	}
	unix_put(was);
	waitq_wake(&u->socket.writers, ~0u, POLLOUT | POLLWRNORM);
	return 0;
}

static long
unix_connect(struct socket *s, const struct address *a, bool nonblock)
{
	struct unix_socket *u = unix_of(s);
	long r;

	if (!unix_connected_type(u))
		return connect_datagram(u, a);
	r = address_check(a);
	if (r == 0 && s->pass_credentials)
		r = unix_autobind(u);
	return r < 0 ? r : connect_stream(u, a, nonblock);
}

static struct unix_socket *
take_waiting(struct unix_socket *u)
{
	struct unix_socket *w = NULL;

	spin_lock(&unix_lock);
	if (!list_empty(&u->waiting)) {
		w = list_first(&u->waiting, struct unix_socket, waiting);
		list_del(&w->waiting);
		u->waiting_count--;
	}
	spin_unlock(&unix_lock);
	return w;
}

static long
unix_accept(struct socket *s, bool nonblock, struct socket **out)
{
	struct unix_socket *u = unix_of(s), *w;
	uint64_t deadline = socket_deadline(s->receive_timeout);
	long r = 0;

	if (!unix_connected_type(u))
		return -EOPNOTSUPP;
	for (;;) {
		if (READ_ONCE(u->state) != UNIX_LISTENING)
			return -EINVAL;
		w = take_waiting(u);
		if (w != NULL)
			break;
		if (r < 0)
			return socket_wait_error(r, s->receive_timeout);
		if ((READ_ONCE(s->shutdown) & SHUT_RECEIVE) != 0)
			return -EINVAL;
		if (nonblock)
			return -EAGAIN;
		struct waiter wait;

		waiter_init(&wait);
		waitq_add_exclusive(&s->readers, &wait);
		task_prepare_wait(TASK_INTERRUPTIBLE);
		if (list_empty(&u->waiting) && (READ_ONCE(s->shutdown) & SHUT_RECEIVE) == 0)
			r = task_wait(deadline);
		task_finish_wait();
		waitq_remove(&s->readers, &wait);
	}
	waitq_wake(&u->senders, 1, 0);
	if (!list_empty(&u->waiting))
		waitq_wake(&s->readers, 1, POLLIN | POLLRDNORM);
	*out = &w->socket;
	return 0;
}

/* ---- names, shutdown, credentials ---- */

static long
unix_getname(struct socket *s, struct address *a, bool peer)
{
	struct unix_socket *u = unix_of(s);
	long r = 0;

	spin_lock(&unix_lock);
	if (peer)
		u = u->peer;
	if (u == NULL)
		r = -ENOTCONN;
	else
		unix_name_copy(a, u->name);
	spin_unlock(&unix_lock);
	return r;
}

static void
shut(struct unix_socket *u, unsigned how)
{
	spin_lock(&u->socket.lock);
	WRITE_ONCE(u->socket.shutdown, u->socket.shutdown | how);
	spin_unlock(&u->socket.lock);
	wake_all(u);
	unix_unblock(u, ~0u);
}

static long
unix_shutdown(struct socket *s, unsigned how)
{
	struct unix_socket *u = unix_of(s), *peer;
	unsigned its = ((how & SHUT_SEND) != 0 ? SHUT_RECEIVE : 0) | ((how & SHUT_RECEIVE) != 0 ? SHUT_SEND : 0);

	shut(u, how);
	if (!unix_connected_type(u))
		return 0;
	spin_lock(&unix_lock);
	peer = u->peer;
	if (peer != NULL)
		unix_get(peer);
	spin_unlock(&unix_lock);
	if (peer != NULL)
		shut(peer, its);
	unix_put(peer);
	return 0;
}

static void
unix_peer_credentials(struct socket *s, struct credentials *c)
{
	spin_lock(&unix_lock);
	*c = unix_of(s)->peer_credentials;
	spin_unlock(&unix_lock);
}

static const struct socket_ops unix_ops = {
	.bind = unix_bind, .connect = unix_connect, .listen = unix_listen, .accept = unix_accept, .name = unix_getname,
	.shutdown = unix_shutdown, .send = unix_send, .receive = unix_receive, .poll = unix_poll, .queued = unix_queued,
	.peer_credentials = unix_peer_credentials, .release = unix_release,
};

/* ---- /proc/net/unix ---- */

static void
show_socket(struct seq *q, struct unix_socket *u)
{
	struct file *f = u->socket.file;
	unsigned flags = u->state == UNIX_LISTENING ? 1u << 16 : 0;

	seq_printf(q, "%016lx: %08X %08X %08X %04X %02X %5lu", 0UL, (unsigned)ref_read(&u->socket.refs), 0u, flags,
	    (unsigned)u->socket.type, u->state == UNIX_CONNECTED ? 3u : 1u, f != NULL ? (unsigned long)f->inode->ino : 0UL);
	if (u->name != NULL) {
		const char *p = u->name->addr.sun_path;
		uint32_t len = u->name->len - PATH_AT;

		seq_write(q, " ", 1);
		if (!is_abstract(u->name))
			len = (uint32_t)strnlen(p, len);
		for (uint32_t i = 0; i < len; i++)
			seq_write(q, p[i] == '\0' ? "@" : &p[i], 1);
	}
	seq_write(q, "\n", 1);
}

static long
show_sockets(struct seq *q, void *arg)
{
	static const char head[] = "Num               RefCount Protocol Flags    Type St Inode Path\n";
	struct unix_socket *u;

	(void)arg;
	seq_write(q, head, sizeof(head) - 1);
	spin_lock(&unix_lock);
	list_for_each(u, &all_sockets, all)
		show_socket(q, u);
	spin_unlock(&unix_lock);
	return 0;
}

void
unix_init(void)
{
	unix_cache = kcache_create("unix", sizeof(struct unix_socket), 64);
	if (unix_cache == NULL)
		panic("no memory for sockets");
	unix_data_init();
	procfs_register("net/unix", show_sockets, NULL);
}
