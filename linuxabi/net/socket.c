/* SPDX-License-Identifier: MIT */
/*
 * Sockets as files, and the system calls that make and connect them, socket(7).
 * What a family does is behind struct socket_ops; the only one so far is AF_UNIX.
 * Messages are in message.c, options in options.c.
 */
#include <asm/ioctls.h>
#include <linux/magic.h>
#include <linux/sockios.h>
#include "internal.h"

enum { TYPE_MASK = 0xf, SOCK_MAX_ = 11, BACKLOG_MAX = 4096 };

static struct super *socket_super;

/* ---- as files ---- */

static inline struct socket *of(const struct file *f) { return f->private_; }

static ssize_t
socket_read(struct file *f, struct uio *u, loff_t *pos)
{
	struct message m;
	ssize_t r;

	(void)pos;
	if (u->resid == 0)
		return 0;
	m.data = u;
	m.flags = (f->flags & O_NONBLOCK) != 0 ? MSG_DONTWAIT_ : 0;
	m.name = NULL;
	m.rights = NULL;
	m.has_credentials = false;
	r = of(f)->ops->receive(of(f), &m);
	if (unlikely(m.rights != NULL))
		rights_drop(m.rights);
	return r;
}

static ssize_t
socket_write(struct file *f, struct uio *u, loff_t *pos)
{
	struct message m;

	(void)pos;
	m.data = u;
	m.flags = (f->flags & O_NONBLOCK) != 0 ? MSG_DONTWAIT_ : 0;
	m.name = NULL;
	m.rights = NULL;
	m.has_credentials = false;
	return of(f)->ops->send(of(f), &m);
}

static unsigned
socket_poll(struct file *f, struct poll_table *pt)
{
	return of(f)->ops->poll(of(f), f, pt);
}

static long
socket_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	long n;

	if (cmd != SIOCINQ && cmd != SIOCOUTQ)
		return -ENOTTY;
	n = of(f)->ops->queued(of(f), cmd == SIOCOUTQ);
	return n < 0 ? n : put_user_u32(arg, (uint32_t)n);
}

static void
socket_release(struct file *f)
{
	struct socket *s = of(f);

	if (s == NULL)
		return;
	f->private_ = NULL;
	s->ops->release(s);
}

static const struct file_ops socket_file_ops = {
	.read = socket_read, .write = socket_write, .poll = socket_poll, .ioctl = socket_ioctl, .release = socket_release,
};

struct socket *
socket_of(const struct file *f)
{
	return f->ops == &socket_file_ops ? of(f) : NULL;
}

/* The reference of s goes to the file; on failure it stays. */
static struct file *
socket_file(struct socket *s, unsigned flags)
{
	struct inode *i = inode_alloc(socket_super, S_IFSOCK | 0777);
	struct file *f;

	if (i == NULL)
		return NULL;
	f = file_alloc(&socket_file_ops, i, O_RDWR | (flags & O_NONBLOCK));
	inode_put(i);			/* the file has its own */
	if (f == NULL)
		return NULL;
	f->anon_name = "socket";
	f->private_ = s;
	WRITE_ONCE(s->file, f);
	return f;
}

long
socket_install(struct socket *s, unsigned flags)
{
	struct file *f = socket_file(s, flags);
	int fd;

	if (f == NULL) {
		s->ops->release(s);
		return -ENFILE;
	}
	fd = fd_install(f, 0, (flags & O_CLOEXEC) != 0);
	if (fd < 0)
		file_put(f);
	return fd;
}

/* ---- parts of the calls ---- */

void
socket_setup(struct socket *s, const struct socket_ops *ops, unsigned family, unsigned type)
{
	s->ops = ops;
	ref_init(&s->refs, 1);
	s->family = (uint16_t)family;
	s->type = (uint16_t)type;
	spin_init(&s->lock, 50);
	mutex_init(&s->io, 25);
	waitq_init(&s->readers);
	waitq_init(&s->writers);
	s->send_buffer = s->receive_buffer = BUFFER_DEFAULT;
	s->low_water = 1;
	s->receive_timeout = s->send_timeout = UINT64_MAX;
}

long
socket_get(int fd, struct fdref *ref, struct socket **s)
{
	*ref = fdref_get(fd);
	if (ref->file == NULL)
		return -EBADF;
	*s = socket_of(ref->file);
	if (*s != NULL)
		return 0;
	fdref_put(*ref);
	return -ENOTSOCK;
}

int32_t
socket_take_error(struct socket *s)
{
	if (likely(READ_ONCE(s->error) == 0))
		return 0;
	return __atomic_exchange_n(&s->error, 0, __ATOMIC_RELAXED);
}

/* socket(7): a call with a time-out is not restarted, and ends with EAGAIN. */
long
socket_wait_error(long r, uint64_t timeout)
{
	if (r == -ETIMEDOUT)
		return -EAGAIN;
	return r == -ERESTARTSYS && timeout != UINT64_MAX ? -EINTR : r;
}

long
address_get(struct address *a, uaddr_t user, uint64_t len)
{
	if ((int)len < 0 || (int)len > ADDRESS_MAX)
		return -EINVAL;
	a->len = (uint32_t)len;
	memset(a->bytes, 0, sizeof(a->bytes));
	return a->len == 0 ? 0 : copy_from_user(a->bytes, user, a->len);
}

/* As much as there is room for; the length is what it would have been. */
long
address_put(uaddr_t user, uaddr_t user_len, const struct address *a)
{
	uint32_t room;

	if (get_user_u32(&room, user_len) < 0)
		return -EFAULT;
	if ((int32_t)room < 0)
		return -EINVAL;
	if (copy_to_user(user, a->bytes, min(room, a->len)) < 0)
		return -EFAULT;
	return put_user_u32(user_len, a->len);
}

static bool nonblocking(const struct fdref *ref) { return (ref->file->flags & O_NONBLOCK) != 0; }

/* ---- socket, socketpair ---- */

static long
family_check(uint64_t family, uint64_t type, uint64_t protocol)
{
	int t = (int)type & TYPE_MASK;

	if (((int)type & ~(TYPE_MASK | O_CLOEXEC | O_NONBLOCK)) != 0)
		return -EINVAL;
	if ((int)family < 0 || (int)family >= AF_MAX_)
		return -EAFNOSUPPORT;
	if (t < 1 || t >= SOCK_MAX_)
		return -EINVAL;
	if ((int)family != AF_UNIX_)
		return -EAFNOSUPPORT;
	if ((int)protocol != 0 && (int)protocol != AF_UNIX_)
		return -EPROTONOSUPPORT;
	if (t != SOCK_STREAM && t != SOCK_DGRAM && t != SOCK_RAW && t != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	return 0;
}

/* A raw one is a datagram one, as on Linux. */
static struct socket *
create(uint64_t type)
{
	unsigned t = (unsigned)type & TYPE_MASK;

	return unix_create(t == SOCK_RAW ? SOCK_DGRAM : t);
}

long
sys_socket(uint64_t family, uint64_t type, uint64_t protocol)
{
	struct socket *s;
	long r = family_check(family, type, protocol);

	if (r < 0)
		return r;
	s = create(type);
	return s == NULL ? -ENOMEM : socket_install(s, (unsigned)type);
}

long
sys_socketpair(uint64_t family, uint64_t type, uint64_t protocol, uint64_t user)
{
	struct socket *a, *b;
	int fd[2];
	long r = family_check(family, type, protocol);

	if (r < 0)
		return r;
	a = create(type);
	if (a == NULL)
		return -ENOMEM;
	b = create(type);
	if (b == NULL) {
		a->ops->release(a);
		return -ENOMEM;
	}
	unix_pair(a, b);
	r = socket_install(a, (unsigned)type);
	if (r < 0) {
		b->ops->release(b);
		return r;
	}
	fd[0] = (int)r;
	r = socket_install(b, (unsigned)type);
	if (r < 0) {
		fd_close(fd[0]);
		return r;
	}
	fd[1] = (int)r;
	if (copy_to_user(user, fd, sizeof(fd)) == 0)
		return 0;
	fd_close(fd[0]);
	fd_close(fd[1]);
	return -EFAULT;
}

/* ---- names and connections ---- */

long
sys_bind(uint64_t fd, uint64_t user, uint64_t len)
{
	struct address a;
	struct fdref ref;
	struct socket *s;
	long r = socket_get((int)fd, &ref, &s);

	if (r < 0)
		return r;
	r = address_get(&a, user, len);
	if (r == 0)
		r = s->ops->bind(s, &a);
	fdref_put(ref);
	return r;
}

long
sys_connect(uint64_t fd, uint64_t user, uint64_t len)
{
	struct address a;
	struct fdref ref;
	struct socket *s;
	long r = socket_get((int)fd, &ref, &s);

	if (r < 0)
		return r;
	r = address_get(&a, user, len);
	if (r == 0)
		r = s->ops->connect(s, &a, nonblocking(&ref));
	fdref_put(ref);
	return r;
}

long
sys_listen(uint64_t fd, uint64_t backlog)
{
	struct fdref ref;
	struct socket *s;
	long r = socket_get((int)fd, &ref, &s);

	if (r < 0)
		return r;
	/* A negative one is as good as endless (listen(2)). */
	r = s->ops->listen(s, (int)min((uint32_t)backlog, (uint32_t)BACKLOG_MAX));
	fdref_put(ref);
	return r;
}

static long
accept_name(struct socket *s, uint64_t user, uint64_t user_len)
{
	struct address a;
	long r;

	if (user == 0)
		return 0;
	r = s->ops->name(s, &a, true);
	return r < 0 ? -ECONNABORTED : address_put(user, user_len, &a);
}

long
sys_accept4(uint64_t fd, uint64_t user, uint64_t user_len, uint64_t flags)
{
	struct socket *s, *new;
	struct fdref ref;
	long r;

	if (((uint32_t)flags & ~(uint32_t)(O_CLOEXEC | O_NONBLOCK)) != 0)
		return -EINVAL;
	r = socket_get((int)fd, &ref, &s);
	if (r < 0)
		return r;
	r = s->ops->accept(s, nonblocking(&ref), &new);
	fdref_put(ref);
	if (r < 0)
		return r;
	r = accept_name(new, user, user_len);
	if (r < 0) {
		new->ops->release(new);
		return r;
	}
	return socket_install(new, (unsigned)flags);
}

long
sys_accept(uint64_t fd, uint64_t user, uint64_t user_len)
{
	return sys_accept4(fd, user, user_len, 0);
}

static long
get_name(uint64_t fd, uint64_t user, uint64_t user_len, bool peer)
{
	struct address a;
	struct fdref ref;
	struct socket *s;
	long r = socket_get((int)fd, &ref, &s);

	if (r < 0)
		return r;
	r = s->ops->name(s, &a, peer);
	fdref_put(ref);
	return r < 0 ? r : address_put(user, user_len, &a);
}

long sys_getsockname(uint64_t fd, uint64_t user, uint64_t len) { return get_name(fd, user, len, false); }
long sys_getpeername(uint64_t fd, uint64_t user, uint64_t len) { return get_name(fd, user, len, true); }

long
sys_shutdown(uint64_t fd, uint64_t how)
{
	struct fdref ref;
	struct socket *s;
	long r = socket_get((int)fd, &ref, &s);

	if (r < 0)
		return r;
	r = (unsigned)how > 2 ? -EINVAL : s->ops->shutdown(s, (unsigned)how + 1);
	fdref_put(ref);
	return r;
}

void
net_init(void)
{
	static struct fs_type sockfs = { .name = "sockfs", .flags = FS_NODEV };

	socket_super = super_alloc(&sockfs, SOCKFS_MAGIC);
	if (socket_super == NULL)
		panic("no memory for sockets");
	unix_init();
}
