/* SPDX-License-Identifier: MIT */
/* User memory: range checks before the copies of uaccess.S, and scatter lists. */
#include "uaccess.h"
#include "task.h"

size_t copy_user_raw(void *dst, const void *src, size_t n);
size_t clear_user_raw(void *dst, size_t n);
long get_user_u8_raw(uint8_t *, uaddr_t);
long get_user_u32_raw(uint32_t *, uaddr_t);
long get_user_u64_raw(uint64_t *, uaddr_t);
long put_user_u8_raw(uaddr_t, uint8_t);
long put_user_u32_raw(uaddr_t, uint32_t);
long put_user_u64_raw(uaddr_t, uint64_t);
long user_load_u32_raw(uint32_t *, uaddr_t);
long user_cmpxchg_u32_raw(uaddr_t, uint32_t, uint32_t, uint32_t *);
long strncpy_from_user_raw(char *, uaddr_t, size_t);

size_t
copy_from_user_partial(void *dst, uaddr_t src, size_t n)
{
	return user_range_ok(src, n) ? copy_user_raw(dst, (const void *)src, n) : n;
}

size_t
copy_to_user_partial(uaddr_t dst, const void *src, size_t n)
{
	return user_range_ok(dst, n) ? copy_user_raw((void *)dst, src, n) : n;
}

long
copy_from_user(void *dst, uaddr_t src, size_t n)
{
	return copy_from_user_partial(dst, src, n) == 0 ? 0 : -EFAULT;
}

long
copy_to_user(uaddr_t dst, const void *src, size_t n)
{
	return copy_to_user_partial(dst, src, n) == 0 ? 0 : -EFAULT;
}

long
clear_user(uaddr_t dst, size_t n)
{
	return user_range_ok(dst, n) && clear_user_raw((void *)dst, n) == 0 ? 0 : -EFAULT;
}

long
strncpy_from_user(char *dst, uaddr_t src, size_t size)
{
	long n;

	if (src >= TASK_SIZE)
		return -EFAULT;
	n = strncpy_from_user_raw(dst, src, min(size, TASK_SIZE - src));
	if (n < 0)
		return n;
	if ((size_t)n == size)
		return -ENAMETOOLONG;
	return (size_t)n == TASK_SIZE - src ? -EFAULT : n;
}

long get_user_u8(uint8_t *v, uaddr_t a) { return user_range_ok(a, 1) ? get_user_u8_raw(v, a) : -EFAULT; }
long get_user_u32(uint32_t *v, uaddr_t a) { return user_range_ok(a, 4) ? get_user_u32_raw(v, a) : -EFAULT; }
long get_user_u64(uint64_t *v, uaddr_t a) { return user_range_ok(a, 8) ? get_user_u64_raw(v, a) : -EFAULT; }
long put_user_u8(uaddr_t a, uint8_t v) { return user_range_ok(a, 1) ? put_user_u8_raw(a, v) : -EFAULT; }
long put_user_u32(uaddr_t a, uint32_t v) { return user_range_ok(a, 4) ? put_user_u32_raw(a, v) : -EFAULT; }
long put_user_u64(uaddr_t a, uint64_t v) { return user_range_ok(a, 8) ? put_user_u64_raw(a, v) : -EFAULT; }

/* Exclusive accesses to a misaligned word would be an alignment fault of ours. */
long
user_cmpxchg_u32(uaddr_t a, uint32_t expected, uint32_t desired, uint32_t *old)
{
	if ((a & 3) != 0 || !user_range_ok(a, 4))
		return -EFAULT;
	return user_cmpxchg_u32_raw(a, expected, desired, old);
}

long
user_load_u32_nofault(uint32_t *v, uaddr_t a)
{
	return user_range_ok(a, 4) ? user_load_u32_raw(v, a) : -EFAULT;
}

void
uio_user(struct uio *u, uaddr_t base, size_t len)
{
	u->single.base = base;
	u->single.len = len;
	u->iov = &u->single;
	u->count = 1;
	u->offset = 0;
	u->resid = len;
	u->kernel = false;
	u->rwf = 0;
}

void
uio_kernel(struct uio *u, void *base, size_t len)
{
	uio_user(u, (uint64_t)base, len);
	u->kernel = true;
}

long
uio_user_vec(struct uio *u, uaddr_t vec, unsigned count, struct iov *iov, unsigned max_)
{
	size_t total = 0;

	if (count > max_)
		return -EINVAL;
	if (copy_from_user(iov, vec, count * sizeof(*iov)) != 0)
		return -EFAULT;
	for (unsigned i = 0; i < count; i++) {
		if ((int64_t)iov[i].len < 0)
			return -EINVAL;
		if (!user_range_ok(iov[i].base, iov[i].len))
			return -EFAULT;
		/* MAX_RW_COUNT: longer transfers are cut short (readv(2)). */
		if (iov[i].len > 0x7ffff000UL - total)
			iov[i].len = 0x7ffff000UL - total;
		total += iov[i].len;
	}
	u->iov = iov;
	u->count = count;
	u->offset = 0;
	u->resid = total;
	u->kernel = false;
	u->rwf = 0;
	return 0;
}

enum move { MOVE_PUT, MOVE_GET, MOVE_ZERO };

static size_t
move_piece(const struct uio *u, uint64_t at, void *buf, size_t n, enum move how)
{
	switch (how) {
	case MOVE_PUT:
		if (!u->kernel)
			return n - copy_to_user_partial(at, buf, n);
		memcpy((void *)at, buf, n);
		return n;
	case MOVE_GET:
		if (!u->kernel)
			return n - copy_from_user_partial(buf, at, n);
		memcpy(buf, (const void *)at, n);
		return n;
	case MOVE_ZERO:
		if (!u->kernel)
			return user_range_ok(at, n) ? n - clear_user_raw((void *)at, n) : 0;
		memset((void *)at, 0, n);
		return n;
	}
	return 0;
}

static size_t
uio_move(struct uio *u, void *buf, size_t n, enum move how)
{
	size_t done = 0;

	n = min(n, u->resid);
	while (done < n) {
		size_t left = u->iov->len - u->offset, piece = min(left, n - done), moved;

		if (piece == 0) {
			u->iov++;
			u->count--;
			u->offset = 0;
			continue;
		}
		moved = move_piece(u, u->iov->base + u->offset, buf == NULL ? NULL : (char *)buf + done, piece, how);
		u->offset += moved;
		u->resid -= moved;
		done += moved;
		if (moved < piece)
			break;
	}
	return done;
}

size_t uio_put(struct uio *u, const void *src, size_t n) { return uio_move(u, (void *)(uint64_t)src, n, MOVE_PUT); }
size_t uio_get(struct uio *u, void *dst, size_t n) { return uio_move(u, dst, n, MOVE_GET); }
size_t uio_zero(struct uio *u, size_t n) { return uio_move(u, NULL, n, MOVE_ZERO); }
