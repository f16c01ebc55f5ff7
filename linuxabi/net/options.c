/* SPDX-License-Identifier: MIT */
/*
 * getsockopt and setsockopt at level SOL_SOCKET, socket(7), unix(7).  AF_UNIX has
 * no other level: EOPNOTSUPP.
 */
#include "internal.h"

enum { SO_PEERGROUPS_ = 59, BUFFER_MAX = 1 << 30 };

struct timeval64 { int64_t seconds, microseconds; };

/* ---- set ---- */

/* Twice what is asked for, as on Linux: the books are part of it. */
static uint32_t
buffer_size(uint32_t asked, uint32_t least, bool force)
{
	uint32_t limit = force ? BUFFER_MAX / 2 : BUFFER_DEFAULT;

	return max(min(asked, limit) * 2, least);
}

static long
set_timeout(uint64_t *out, uaddr_t user, uint32_t len)
{
	struct timeval64 t;

	if (len < sizeof(t))
		return -EINVAL;
	if (copy_from_user(&t, user, sizeof(t)) < 0)
		return -EFAULT;
	if (t.microseconds < 0 || t.microseconds >= 1000000)
		return -EDOM;
	if (t.seconds < 0)
		*out = 0;		/* Linux: at once */
	else if (t.seconds == 0 && t.microseconds == 0)
		*out = UINT64_MAX;
	else if (t.seconds >= 1LL << 32)
		*out = UINT64_MAX;
	else
		*out = (uint64_t)t.seconds * 1000000000ULL + (uint64_t)t.microseconds * 1000;
	return 0;
}

static long
set_linger(struct socket *s, uaddr_t user, uint32_t len)
{
	int32_t v[2];

	if (len < sizeof(v))
		return -EINVAL;
	if (copy_from_user(v, user, sizeof(v)) < 0)
		return -EFAULT;
	s->linger.on = v[0] != 0;
	s->linger.seconds = v[1];
	return 0;
}

static long
set_int(struct socket *s, int name, int32_t v)
{
	switch (name) {
	case SO_DEBUG:
		return v != 0 && !net_capable(CAP_NET_ADMIN) ? -EACCES : 0;
	case SO_REUSEADDR:
		s->reuse = v != 0;
		return 0;
	case SO_REUSEPORT:
		return -EOPNOTSUPP;
	case SO_TYPE:
	case SO_PROTOCOL:
	case SO_DOMAIN:
	case SO_ERROR:
	case SO_SNDLOWAT:
	case SO_ACCEPTCONN:
	case SO_PEERCRED:
		return -ENOPROTOOPT;
	case SO_DONTROUTE:
		s->dont_route = v != 0;
		return 0;
	case SO_BROADCAST:
		s->broadcast = v != 0;
		return 0;
	case SO_SNDBUFFORCE:
	case SO_RCVBUFFORCE:
		if (!net_capable(CAP_NET_ADMIN))
			return -EPERM;
		v = max(v, 0);
		break;
	case SO_KEEPALIVE:
		s->keepalive = v != 0;
		return 0;
	case SO_OOBINLINE:
		s->oob_inline = v != 0;
		return 0;
	case SO_PRIORITY:
		if ((v < 0 || v > 6) && !net_capable(CAP_NET_ADMIN))
			return -EPERM;
		s->priority = v;
		return 0;
	case SO_MARK:
		if (!net_capable(CAP_NET_ADMIN))
			return -EPERM;
		s->mark = v;
		return 0;
	case SO_PASSCRED:
		WRITE_ONCE(s->pass_credentials, v != 0);
		return 0;
	case SO_RCVLOWAT:
		s->low_water = v < 0 ? INT32_MAX : v == 0 ? 1 : (uint32_t)v;
		return 0;
	case SO_TIMESTAMP:
		s->timestamps = v != 0;
		return 0;
	}
	switch (name) {
	case SO_SNDBUF:
	case SO_SNDBUFFORCE:
		WRITE_ONCE(s->send_buffer, buffer_size((uint32_t)v, SEND_MIN, name == SO_SNDBUFFORCE));
		waitq_wake(&s->writers, ~0u, POLLOUT | POLLWRNORM);
		return 0;
	case SO_RCVBUF:
	case SO_RCVBUFFORCE:
		s->receive_buffer = buffer_size((uint32_t)v, RECEIVE_MIN, name == SO_RCVBUFFORCE);
		return 0;
	}
	return -ENOPROTOOPT;
}

static long
socket_set(struct socket *s, int name, uaddr_t user, uint32_t len)
{
	uint32_t v;

	switch (name) {
	case SO_RCVTIMEO_OLD:
	case SO_RCVTIMEO_NEW:
		return set_timeout(&s->receive_timeout, user, len);
	case SO_SNDTIMEO_OLD:
	case SO_SNDTIMEO_NEW:
		return set_timeout(&s->send_timeout, user, len);
	case SO_LINGER:
		return set_linger(s, user, len);
	}
	if (len < sizeof(v))
		return -EINVAL;
	if (get_user_u32(&v, user) < 0)
		return -EFAULT;
	return set_int(s, name, (int32_t)v);
}

long
sys_setsockopt(uint64_t fd, uint64_t level, uint64_t name, uint64_t user, uint64_t len)
{
	struct fdref ref;
	struct socket *s;
	long r;

	if ((int)len < 0)
		return -EINVAL;
	r = socket_get((int)fd, &ref, &s);
	if (r < 0)
		return r;
	r = (int)level != SOL_SOCKET ? -EOPNOTSUPP : socket_set(s, (int)name, user, (uint32_t)len);
	fdref_put(ref);
	return r;
}

/* ---- get ---- */

union value {
	int32_t number;
	int32_t pair[2];
	struct timeval64 time;
	struct credentials credentials;
};

static uint32_t
time_value(union value *v, uint64_t ns)
{
	v->time = (struct timeval64){ 0, 0 };
	if (ns != UINT64_MAX)
		v->time = (struct timeval64){ (int64_t)(ns / 1000000000), (int64_t)(ns % 1000000000 / 1000) };
	return sizeof(v->time);
}

/* Size of the value, or -errno. */
static long
get_value(struct socket *s, int name, union value *v)
{
	switch (name) {
	case SO_DEBUG: v->number = 0; break;
	case SO_DONTROUTE: v->number = s->dont_route; break;
	case SO_BROADCAST: v->number = s->broadcast; break;
	case SO_SNDBUF: v->number = (int32_t)s->send_buffer; break;
	case SO_RCVBUF: v->number = (int32_t)s->receive_buffer; break;
	case SO_REUSEADDR: v->number = s->reuse; break;
	case SO_REUSEPORT: v->number = s->reuse_port; break;
	case SO_KEEPALIVE: v->number = s->keepalive; break;
	case SO_TYPE: v->number = s->type; break;
	case SO_PROTOCOL: v->number = 0; break;
	case SO_DOMAIN: v->number = s->family; break;
	case SO_ERROR: v->number = socket_take_error(s); break;
	case SO_OOBINLINE: v->number = s->oob_inline; break;
	case SO_PRIORITY: v->number = s->priority; break;
	case SO_MARK: v->number = s->mark; break;
	case SO_TIMESTAMP: v->number = s->timestamps; break;
	case SO_PASSCRED: v->number = s->pass_credentials; break;
	case SO_RCVLOWAT: v->number = (int32_t)s->low_water; break;
	case SO_SNDLOWAT: v->number = 1; break;
	case SO_ACCEPTCONN: v->number = READ_ONCE(s->listening); break;
	case SO_LINGER:
		v->pair[0] = s->linger.on;
		v->pair[1] = s->linger.seconds;
		return sizeof(v->pair);
	case SO_RCVTIMEO_OLD:
	case SO_RCVTIMEO_NEW:
		return time_value(v, s->receive_timeout);
	case SO_SNDTIMEO_OLD:
	case SO_SNDTIMEO_NEW:
		return time_value(v, s->send_timeout);
	case SO_PEERCRED:
		s->ops->peer_credentials(s, &v->credentials);
		return sizeof(v->credentials);
	default:
		return -ENOPROTOOPT;
	}
	return sizeof(v->number);
}

static long
socket_get_option(struct socket *s, int name, uaddr_t user, uaddr_t user_len)
{
	union value v = { 0 };
	uint32_t room;
	long n;

	if (get_user_u32(&room, user_len) < 0)
		return -EFAULT;
	if ((int32_t)room < 0)
		return -EINVAL;
	n = get_value(s, name, &v);
	if (n < 0)
		return n;
	n = min(n, (long)room);
	if (copy_to_user(user, &v, (size_t)n) < 0)
		return -EFAULT;
	return put_user_u32(user_len, (uint32_t)n);
}

long
sys_getsockopt(uint64_t fd, uint64_t level, uint64_t name, uint64_t user, uint64_t user_len)
{
	struct fdref ref;
	struct socket *s;
	long r = socket_get((int)fd, &ref, &s);

	if (r < 0)
		return r;
	r = (int)level != SOL_SOCKET ? -EOPNOTSUPP : socket_get_option(s, (int)name, user, user_len);
	fdref_put(ref);
	return r;
}
