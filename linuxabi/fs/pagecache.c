/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing regular files straight from and to the pages of their
 * mapping, and changing their size.  Writers hold inode->lock; readers do not
 * (a read beside a write may see part of it, as on Linux).
 */
#include "internal.h"

enum { RWF_APPEND_ = 0x10, RWF_DSYNC_ = 2, RWF_SYNC_ = 4 };
enum { SEAL_WRITE = 8 | 16, SEAL_GROW = 4, SEAL_SHRINK = 2 };

static inline size_t page_rest(uint64_t pos) { return PAGE_SIZE - (pos & (PAGE_SIZE - 1)); }

/* A disk's page that is not ready, or that reclaim or read-ahead want to hear of. */
static struct page *
page_with_care(struct mapping *m, uint64_t index, struct page *p)
{
	do {
		long r = m->ops->ready(m, p);

		if (r == 0)
			return p;
		page_put(p);
		if (r != -EAGAIN)
			return ERR_PTR(r);
		p = mapping_find(m, index);
		if (p == NULL)
			return m->ops->get_page(m, index, false);
	} while (page_state(p) & PS_CARE);
	return p;
}

struct page *
pagecache_page(struct mapping *m, uint64_t index)
{
	struct page *p = mapping_find(m, index);

	if (unlikely(p == NULL))
		return m->ops->get_page(m, index, false);
	if (unlikely((READ_ONCE(p->state) & PS_CARE) != 0))
		return page_with_care(m, index, p);
	/* The state before the contents: partner is who fills the page. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return p;
}

ssize_t
pagecache_read(struct file *f, struct uio *u, loff_t *ppos)
{
	struct inode *i = f->inode;
	struct mapping *m = i->mapping;
	uint64_t pos = (uint64_t)*ppos;
	size_t done = 0;

	while (u->resid > 0) {
		uint64_t size = READ_ONCE(i->size);
		struct page *p;
		size_t n, moved;

		if (pos >= size)
			break;
		n = min(page_rest(pos), size - pos);
		n = min(n, u->resid);
		p = pagecache_page(m, pos >> PAGE_SHIFT);
		if (IS_ERR(p)) {
			if (done == 0)
				return PTR_ERR(p);
			break;
		}
		if (p != NULL) {
			moved = uio_put(u, (char *)page_virt(p) + (pos & (PAGE_SIZE - 1)), n);
			page_put(p);
		} else {
			moved = uio_zero(u, n);
		}
		pos += moved;
		done += moved;
		if (moved < n) {
			if (done == 0)
				return -EFAULT;
			break;
		}
	}
	*ppos = (loff_t)pos;
	if (done > 0 || u->resid == 0)
		inode_touch_atime(f);
	return (ssize_t)done;
}

/* The file would pass a limit: less is written, or nothing with SIGXFSZ. */
ssize_t
write_checks(struct file *f, loff_t pos, size_t *count)
{
	uint64_t limit;

	if (!is_type(f->inode, S_IFREG))
		return 0;
	limit = rlimit(RLIMIT_FSIZE);
	if (unlikely((uint64_t)pos >= limit)) {
		signal_send_task(current, SIGXFSZ, NULL);
		return -EFBIG;
	}
	*count = (size_t)min((uint64_t)*count, limit - (uint64_t)pos);
	if (pos == INT64_MAX && *count > 0)
		return -EFBIG;
	*count = (size_t)min((uint64_t)*count, (uint64_t)(INT64_MAX - pos));
	return 0;
}

static ssize_t
write_pages(struct inode *i, struct uio *u, uint64_t *ppos, size_t count)
{
	struct mapping *m = i->mapping;
	uint64_t pos = *ppos;
	size_t done = 0;

	while (done < count) {
		size_t n = min(page_rest(pos), count - done), moved;
		bool disk = m->ops->write_begin != NULL;
		struct page *p = disk ? m->ops->write_begin(m, pos >> PAGE_SHIFT, pos & (PAGE_SIZE - 1), (unsigned)n)
		    : mapping_find(m, pos >> PAGE_SHIFT);

		if (p == NULL)
			p = m->ops->get_page(m, pos >> PAGE_SHIFT, true);
		if (IS_ERR(p) || p == NULL) {
			if (done > 0)
				break;
			return p == NULL ? -EIO : PTR_ERR(p);
		}
		moved = uio_get(u, (char *)page_virt(p) + (pos & (PAGE_SIZE - 1)), n);
		if (disk) {
			ssize_t r = m->ops->write_end(m, p, pos >> PAGE_SHIFT, pos & (PAGE_SIZE - 1), (unsigned)moved);

			if (r < 0) {
				if (done > 0)
					break;
				return r;
			}
		} else {
			page_put(p);
		}
		pos += moved;
		done += moved;
		/* The size grows with the data, so that a reader never sees a gap. */
		if (moved > 0 && pos > i->size)
			WRITE_ONCE(i->size, pos);
		if (moved < n) {
			if (done == 0)
				return -EFAULT;
			break;
		}
		if (unlikely(signal_fatal_pending(current)))
			break;
		cond_resched();
	}
	*ppos = pos;
	return (ssize_t)done;
}

ssize_t
pagecache_write(struct file *f, struct uio *u, loff_t *ppos)
{
	struct inode *i = f->inode;
	size_t count = u->resid;
	uint64_t pos;
	ssize_t r;

	mutex_lock(&i->lock);
	pos = (f->flags & O_APPEND) != 0 || (u->rwf & RWF_APPEND_) != 0 ? i->size : (uint64_t)*ppos;
	r = count == 0 ? 0 : write_checks(f, (loff_t)pos, &count);
	if (r == 0 && unlikely(i->seals != 0) && count > 0) {
		if (i->seals & SEAL_WRITE)
			r = -EPERM;
		else if ((i->seals & SEAL_GROW) != 0 && pos + count > i->size) {
			if (pos >= i->size)
				r = -EPERM;
			else
				count = i->size - pos;
		}
	}
	if (r == 0 && count > 0) {
		inode_drop_suid(i);
		r = write_pages(i, u, &pos, count);
		if (r > 0)
			inode_touch_modified(i);
	}
	mutex_unlock(&i->lock);
	if (r >= 0)
		*ppos = (loff_t)pos;
	return r;
}

/* ---- size ---- */

/* Bytes [from, to) of one page become zero, if the page is there. */
static void
zero_in_page(struct mapping *m, uint64_t from, uint64_t to)
{
	struct page *p;

	if (from >= to)
		return;
	p = mapping_find(m, from >> PAGE_SHIFT);
	if (p == NULL)
		return;
	memset((char *)page_virt(p) + (from & (PAGE_SIZE - 1)), 0, to - from);
	page_put(p);
}

long
pagecache_truncate(struct inode *i, uint64_t size)
{
	uint64_t old = i->size;

	if ((i->seals & SEAL_SHRINK) != 0 && size < old)
		return -EPERM;
	if ((i->seals & SEAL_GROW) != 0 && size > old)
		return -EPERM;
	WRITE_ONCE(i->size, size);
	if (size >= old)
		return 0;
	zero_in_page(i->mapping, size, PAGE_UP(size) == size ? size : PAGE_UP(size));
	mapping_truncate(i->mapping, PAGE_UP(size) >> PAGE_SHIFT, UINT64_MAX);
	return 0;
}

/* truncate(2), ftruncate(2) and O_TRUNC; permission was checked. */
long
inode_truncate(struct path *p, struct file *f, uint64_t size)
{
	struct inode *i = f != NULL ? f->inode : p->dentry->inode;
	struct iattr a = { .valid = ATTR_SIZE, .size = size };
	uint64_t limit = rlimit(RLIMIT_FSIZE);
	long r;

	if (size > i->size && size > limit) {
		signal_send_task(current, SIGXFSZ, NULL);
		return -EFBIG;
	}
	mutex_lock(&i->lock);
	if (i->ops->setattr == NULL) {
		r = -EPERM;
	} else {
		r = i->ops->setattr(i, &a);
		if (r == 0) {
			inode_drop_suid(i);
			inode_touch_modified(i);
		}
	}
	mutex_unlock(&i->lock);
	if (r == 0)
		notify_dentry(p->dentry, 2 /* IN_MODIFY */);
	return r;
}

/* ---- position ---- */

loff_t
generic_seek(struct file *f, loff_t off, int whence, uint64_t end)
{
	loff_t pos;

	switch (whence) {
	case 0:
		pos = off;
		break;
	case 1:
		if (__builtin_add_overflow(f->pos, off, &pos))
			return -EOVERFLOW;
		break;
	case 2:
		if (__builtin_add_overflow((loff_t)end, off, &pos))
			return -EOVERFLOW;
		break;
	default:
		return -EINVAL;
	}
	if (pos < 0)
		return -EINVAL;
	f->pos = pos;
	return pos;
}

/* SEEK_DATA, SEEK_HOLE: pages that are there are data. */
static loff_t
seek_data(struct file *f, loff_t off, bool data)
{
	struct inode *i = f->inode;
	uint64_t size = READ_ONCE(i->size), pos = (uint64_t)off;

	if (off < 0 || pos >= size)
		return -ENXIO;
	while (pos < size) {
		struct page *p = mapping_find(i->mapping, pos >> PAGE_SHIFT);
		bool there = p != NULL;

		if (p != NULL)
			page_put(p);
		if (there == data)
			break;
		if (data && i->mapping->page_count == 0)
			return -ENXIO;
		pos = PAGE_DOWN(pos) + PAGE_SIZE;
		if ((pos >> PAGE_SHIFT) % 1024 == 0) {
			if (signal_fatal_pending(current))
				return -EINTR;
			cond_resched();
		}
	}
	if (pos >= size) {
		if (data)
			return -ENXIO;
		pos = size;
	}
	f->pos = (loff_t)pos;
	return (loff_t)pos;
}

loff_t
pagecache_seek(struct file *f, loff_t off, int whence)
{
	if (whence == 3 || whence == 4)
		return seek_data(f, off, whence == 3);
	return generic_seek(f, off, whence, f->inode->size);
}
