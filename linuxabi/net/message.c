/* SPDX-License-Identifier: MIT */
/*
 * sendto, sendmsg, recvfrom, recvmsg and their vectors: msghdr and control
 * messages (cmsg(3)) to and from user memory.
 */
#include "internal.h"

enum { IOV_SMALL = 8, SCM_RIGHTS_ = 1, SCM_CREDENTIALS_ = 2, MMSG_MAX = 1024 };

struct user_msghdr {
	uint64_t name;
	int32_t name_len;
	uint32_t pad;
	uint64_t iov, iov_count;
	uint64_t control, control_len;
	uint32_t flags, pad2;
};
_Static_assert(sizeof(struct user_msghdr) == 56, "struct msghdr of AArch64 Linux");

struct cmsg {
	uint64_t len;			/* with this header */
	int32_t level, type;
};

enum { MMSG_SIZE = 64, MMSG_LEN = 56 };	/* struct mmsghdr: a msghdr and how much */

static inline uint64_t cmsg_align(uint64_t n) { return (n + 7) & ~7UL; }

static void
message_init(struct message *m, struct uio *u, const struct fdref *ref, uint64_t flags)
{
	*m = (struct message){ .data = u, .flags = (uint32_t)flags & ~(uint32_t)(MSG_TRUNC_ | MSG_CTRUNC_) };
	if ((ref->file->flags & O_NONBLOCK) != 0)
		m->flags |= MSG_DONTWAIT_;
}

/* ---- one buffer ---- */

static long
buffer(struct uio *u, uaddr_t base, uint64_t len)
{
	len = min(len, 0x7ffff000UL);
	if (!user_range_ok(base, len))
		return -EFAULT;
	uio_user(u, base, len);
	return 0;
}

long
sys_sendto(uint64_t fd, uint64_t base, uint64_t len, uint64_t flags, uint64_t name, uint64_t name_len)
{
	struct address a;
	struct message m;
	struct fdref ref;
	struct socket *s;
	struct uio u;
	long r = buffer(&u, base, len);

	if (r < 0)
		return r;
	r = socket_get((int)fd, &ref, &s);
	if (r < 0)
		return r;
	message_init(&m, &u, &ref, flags);
	if (name != 0) {
		r = address_get(&a, name, name_len);
		m.name = &a;
	}
	if (r == 0)
		r = s->ops->send(s, &m);
	fdref_put(ref);
	return r;
}

long
sys_recvfrom(uint64_t fd, uint64_t base, uint64_t len, uint64_t flags, uint64_t name, uint64_t name_len)
{
	struct address a;
	struct message m;
	struct fdref ref;
	struct socket *s;
	struct uio u;
	long r = buffer(&u, base, len), r2;

	if (r < 0)
		return r;
	r = socket_get((int)fd, &ref, &s);
	if (r < 0)
		return r;
	message_init(&m, &u, &ref, flags);
	m.flags |= (uint32_t)flags & MSG_TRUNC_;
	if (name != 0) {
		a.len = 0;
		m.name = &a;
	}
	r = s->ops->receive(s, &m);
	fdref_put(ref);
	rights_drop(m.rights);
	if (r < 0 || name == 0)
		return r;
	r2 = address_put(name, name_len, &a);
	return r2 < 0 ? r2 : r;
}

/* ---- msghdr ---- */

struct header {
	struct user_msghdr user;
	struct iov small[IOV_SMALL], *big;
	struct uio u;
	struct address name;
};

static long
header_get(struct header *h, uaddr_t user)
{
	struct iov *iov = h->small;
	long r;

	h->big = NULL;
	if (copy_from_user(&h->user, user, sizeof(h->user)) < 0)
		return -EFAULT;
	if (h->user.name == 0)
		h->user.name_len = 0;
	if (h->user.name_len < 0)
		return -EINVAL;
	if (h->user.iov_count > UIO_MAXIOV_)
		return -EMSGSIZE;
	if (h->user.iov_count > IOV_SMALL) {
		iov = h->big = kmalloc(h->user.iov_count * sizeof(*iov));
		if (iov == NULL)
			return -ENOMEM;
	}
	r = uio_user_vec(&h->u, h->user.iov, (unsigned)h->user.iov_count, iov, (unsigned)h->user.iov_count);
	if (r < 0)
		kfree(h->big);
	return r;
}

/* ---- sending: control messages ---- */

static bool
credentials_allowed(const struct credentials *c)
{
	const struct cred *me = current->cred;

	return (c->pid == current->process->pid || net_capable(CAP_SYS_ADMIN)) &&
	    (c->uid == me->uid || c->uid == me->euid || c->uid == me->suid || net_capable(CAP_SETUID)) &&
	    (c->gid == me->gid || c->gid == me->egid || c->gid == me->sgid || net_capable(CAP_SETGID));
}

static long
add_rights(struct message *m, const int *fds, size_t bytes)
{
	size_t count = bytes / sizeof(int), before = m->rights == NULL ? 0 : m->rights->count;
	struct rights *more, *both;

	if (count == 0)
		return 0;
	if (before + count > RIGHTS_MAX)
		return -EINVAL;
	more = rights_get(fds, (unsigned)count);
	if (IS_ERR(more))
		return PTR_ERR(more);
	if (before == 0) {
		m->rights = more;
		return 0;
	}
	/* A second SCM_RIGHTS in one message goes behind the first. */
	both = kmalloc(sizeof(*both) + (before + count) * sizeof(both->file[0]));
	if (both == NULL) {
		rights_drop(more);
		return -ENOMEM;
	}
	*both = (struct rights){ .count = (uint32_t)(before + count), .uid = more->uid };
	memcpy(both->file, m->rights->file, before * sizeof(both->file[0]));
	memcpy(both->file + before, more->file, count * sizeof(both->file[0]));
	kfree(m->rights);
	kfree(more);
	m->rights = both;
	return 0;
}

static long
add_credentials(struct message *m, const struct credentials *c, size_t bytes)
{
	if (bytes != sizeof(*c))
		return -EINVAL;
	if (!credentials_allowed(c))
		return -EPERM;
	m->credentials = *c;
	m->has_credentials = true;
	return 0;
}

static long
control_parse(struct message *m, const char *control, uint64_t len)
{
	uint64_t at = 0;
	long r;

	while (len - at >= sizeof(struct cmsg)) {
		const struct cmsg *c = (const void *)(control + at);
		size_t bytes;

		if (c->len < sizeof(*c) || c->len > len - at)
			return -EINVAL;
		bytes = c->len - sizeof(*c);
		r = 0;
		if (c->level == SOL_SOCKET && c->type == SCM_RIGHTS_)
			r = add_rights(m, (const int *)(c + 1), bytes);
		else if (c->level == SOL_SOCKET && c->type == SCM_CREDENTIALS_)
			r = add_credentials(m, (const struct credentials *)(c + 1), bytes);
		else if (c->level == SOL_SOCKET)
			r = -EINVAL;
		if (r < 0)
			return r;
		at += min(cmsg_align(c->len), len - at);
	}
	return 0;
}

static long
control_get(struct message *m, const struct user_msghdr *h)
{
	char *control;
	long r;

	if (h->control_len == 0)
		return 0;
	if (h->control_len > CONTROL_MAX)
		return -ENOBUFS;
	control = kmalloc(h->control_len);
	if (control == NULL)
		return -ENOBUFS;
	r = copy_from_user(control, h->control, h->control_len);
	if (r == 0)
		r = control_parse(m, control, h->control_len);
	kfree(control);
	return r;
}

static long
send_one(struct socket *s, const struct fdref *ref, uaddr_t user, uint64_t flags)
{
	struct header h;
	struct message m;
	long r = header_get(&h, user);

	if (r < 0)
		return r;
	message_init(&m, &h.u, ref, flags);
	if (h.user.name_len > 0) {
		r = address_get(&h.name, h.user.name, (uint64_t)min(h.user.name_len, ADDRESS_MAX));
		m.name = &h.name;
	}
	if (r == 0)
		r = control_get(&m, &h.user);
	if (r == 0)
		r = s->ops->send(s, &m);
	rights_drop(m.rights);		/* NULL when the message has them */
	kfree(h.big);
	return r;
}

long
sys_sendmsg(uint64_t fd, uint64_t user, uint64_t flags)
{
	struct fdref ref;
	struct socket *s;
	long r = socket_get((int)fd, &ref, &s);

	if (r < 0)
		return r;
	r = send_one(s, &ref, user, flags);
	fdref_put(ref);
	return r;
}

long
sys_sendmmsg(uint64_t fd, uint64_t vec, uint64_t count, uint64_t flags)
{
	struct fdref ref;
	struct socket *s;
	uint32_t done = 0, n = min((uint32_t)count, (uint32_t)MMSG_MAX);
	long r = socket_get((int)fd, &ref, &s);

	if (r < 0)
		return r;
	for (; done < n; done++) {
		uaddr_t at = vec + (uint64_t)done * MMSG_SIZE;

		r = send_one(s, &ref, at, flags);
		if (r >= 0)
			r = put_user_u32(at + MMSG_LEN, (uint32_t)r);
		if (r < 0)
			break;
		cond_resched();
	}
	fdref_put(ref);
	return done > 0 ? (long)done : r;
}

/* ---- receiving: control messages ---- */

struct control {
	uaddr_t at;
	uint64_t room, used;
	uint32_t flags;
};

/* One of them; cut where the room ends. */
static void
control_put(struct control *c, int type, const void *data, size_t bytes)
{
	struct cmsg head = { .len = sizeof(head) + bytes, .level = SOL_SOCKET, .type = type };
	uint64_t step;

	if (c->at == 0 || c->room < sizeof(head)) {
		c->flags |= MSG_CTRUNC_;
		return;
	}
	if (c->room < head.len) {
		c->flags |= MSG_CTRUNC_;
		head.len = c->room;
	}
	if (copy_to_user(c->at, &head, sizeof(head)) < 0 ||
	    copy_to_user(c->at + sizeof(head), data, head.len - sizeof(head)) < 0)
		return;
	step = min(cmsg_align(sizeof(head) + bytes), c->room);
	c->at += step;
	c->room -= step;
	c->used += step;
}

/*
 * As many descriptors as there is room for.  A number is written before the file
 * is in the table, so that a bad address gives nothing away.
 */
static void
control_put_rights(struct control *c, struct rights *rights, bool cloexec)
{
	struct cmsg head = { .level = SOL_SOCKET, .type = SCM_RIGHTS_ };
	uint64_t fits = c->at == 0 || c->room <= sizeof(head) ? 0 : (c->room - sizeof(head)) / sizeof(int);
	uint32_t n = 0, count = rights->count;
	uint64_t step;

	rights_landed(rights);
	for (; n < count && n < fits; n++) {
		int fd = fd_install(rights->file[n], 0, cloexec);

		if (fd < 0)
			break;
		if (put_user_u32(c->at + sizeof(head) + n * sizeof(int), (uint32_t)fd) < 0) {
			fd_close(fd);
			rights->file[n] = NULL;
			break;
		}
	}
	if (n < count)
		c->flags |= MSG_CTRUNC_;
	for (uint32_t i = n; i < count; i++)
		file_put(rights->file[i]);
	kfree(rights);
	if (n == 0)
		return;
	head.len = sizeof(head) + n * sizeof(int);
	if (copy_to_user(c->at, &head, sizeof(head)) < 0)
		return;
	step = min(cmsg_align(head.len), c->room);
	c->at += step;
	c->room -= step;
	c->used += step;
}

static void
control_out(struct control *c, struct message *m, bool cloexec)
{
	if (m->has_credentials)
		control_put(c, SCM_CREDENTIALS_, &m->credentials, sizeof(m->credentials));
	if (m->rights != NULL && c->at == 0) {
		c->flags |= MSG_CTRUNC_;
		rights_drop(m->rights);
	} else if (m->rights != NULL) {
		control_put_rights(c, m->rights, cloexec);
	}
	m->rights = NULL;
}

static long
receive_one(struct socket *s, const struct fdref *ref, uaddr_t user, uint64_t flags)
{
	struct header h;
	struct message m;
	struct control c;
	long r = header_get(&h, user), done;

	if (r < 0)
		return r;
	message_init(&m, &h.u, ref, flags);
	m.flags |= (uint32_t)flags & MSG_TRUNC_;
	h.name.len = 0;
	if (h.user.name != 0)
		m.name = &h.name;
	done = s->ops->receive(s, &m);
	kfree(h.big);
	if (done < 0)
		return done;
	c = (struct control){ .at = h.user.control_len == 0 ? 0 : h.user.control, .room = h.user.control_len };
	control_out(&c, &m, (flags & MSG_CMSG_CLOEXEC_) != 0);
	if (h.user.name != 0) {
		if (copy_to_user(h.user.name, h.name.bytes, min((uint32_t)h.user.name_len, h.name.len)) < 0)
			return -EFAULT;
		if (put_user_u32(user + offsetof(struct user_msghdr, name_len), h.name.len) < 0)
			return -EFAULT;
	}
	c.flags |= (m.flags & (MSG_TRUNC_ | MSG_EOR_)) | ((uint32_t)flags & MSG_CMSG_CLOEXEC_);
	if (put_user_u32(user + offsetof(struct user_msghdr, flags), c.flags) < 0 ||
	    put_user_u64(user + offsetof(struct user_msghdr, control_len), c.used) < 0)
		return -EFAULT;
	return done;
}

long
sys_recvmsg(uint64_t fd, uint64_t user, uint64_t flags)
{
	struct fdref ref;
	struct socket *s;
	long r = socket_get((int)fd, &ref, &s);

	if (r < 0)
		return r;
	r = receive_one(s, &ref, user, flags);
	fdref_put(ref);
	return r;
}

/* The time-out is looked at between messages only (recvmmsg(2), BUGS). */
static long
receive_many(struct socket *s, const struct fdref *ref, uaddr_t vec, uint32_t n, uint64_t flags, uint64_t deadline)
{
	uint32_t done = 0;
	long r = 0;

	while (done < n) {
		uaddr_t at = vec + (uint64_t)done * MMSG_SIZE;

		r = receive_one(s, ref, at, flags & ~(uint64_t)MSG_WAITFORONE_);
		if (r >= 0)
			r = put_user_u32(at + MMSG_LEN, (uint32_t)r);
		if (r < 0)
			break;
		done++;
		if ((flags & MSG_WAITFORONE_) != 0)
			flags |= MSG_DONTWAIT_;
		if (deadline != UINT64_MAX && clock_monotonic() >= deadline)
			break;
		cond_resched();
	}
	/* What went wrong after the first comes with the next call. */
	if (done > 0 && r < 0 && r != -EAGAIN && r != -ERESTARTSYS)
		__atomic_store_n(&s->error, (int32_t)-r, __ATOMIC_RELAXED);
	return done > 0 ? (long)done : r;
}

long
sys_recvmmsg(uint64_t fd, uint64_t vec, uint64_t count, uint64_t flags, uint64_t timeout)
{
	uint64_t deadline = UINT64_MAX, now;
	struct __kernel_timespec t;
	struct fdref ref;
	struct socket *s;
	long r;

	if (timeout != 0) {
		if (copy_from_user(&t, timeout, sizeof(t)) < 0)
			return -EFAULT;
		if (!timespec_valid(&t))
			return -EINVAL;
		deadline = clock_monotonic() + timespec_ns(&t);
		if (deadline < timespec_ns(&t))
			deadline = UINT64_MAX - 1;
	}
	r = socket_get((int)fd, &ref, &s);
	if (r < 0)
		return r;
	r = socket_take_error(s);
	r = r != 0 ? -r : receive_many(s, &ref, vec, min((uint32_t)count, (uint32_t)MMSG_MAX), flags, deadline);
	fdref_put(ref);
	if (timeout != 0 && r > 0) {
		now = clock_monotonic();
		t = ns_timespec(deadline > now ? deadline - now : 0);
		if (copy_to_user(timeout, &t, sizeof(t)) < 0)
			return -EFAULT;
	}
	return r;
}
