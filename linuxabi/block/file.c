/* SPDX-License-Identifier: MIT */
/*
 * Open block devices: reading and writing through the cache, or beside it with
 * O_DIRECT; positions, mappings, and who has what open.
 */
#include <linux/falloc.h>
#include "internal.h"

enum { RWF_DSYNC_ = 2, RWF_SYNC_ = 4, RWF_APPEND_ = 16 };

/* ---- open and close ---- */

static long
open_locked(struct blk_dev *d, struct file *f, struct blk_open *o, bool exclusive)
{
	long r;

	if (d->gone)
		return -ENXIO;
	if (f->writable && (d->medium->facts.flags & BLOCK_READONLY) != 0)
		return -EROFS;
	if (exclusive) {
		r = dev_hold(d, o);
		if (r != 0)
			return r;
	}
	o->exclusive = exclusive;
	d->openers++;
	d->writers += f->writable;
	d->medium->openers++;
	return 0;
}

static long
blk_open(struct inode *i, struct file *f)
{
	bool exclusive = (f->flags & O_EXCL) != 0;
	struct blk_dev *d = dev_find(i->rdev);
	struct blk_open *o;
	long r = -ENOMEM;

	f->flags &= ~(unsigned)O_EXCL;		/* F_GETFL does not show it */
	if (d == NULL)
		return -ENXIO;
	o = kzalloc(sizeof(*o));
	if (o != NULL) {
		o->dev = d;
		o->errors_seen = dev_errors_seen(d);
		mutex_lock(&dev_disk(d)->mutex);
		r = open_locked(d, f, o, exclusive);
		mutex_unlock(&dev_disk(d)->mutex);
	}
	if (r != 0) {
		kfree(o);
		dev_put(d);
		return r;
	}
	f->private_ = o;
	return 0;
}

/*
 * The last one to close a device has its dirty pages written, the last one of the
 * whole disk lets go of what is cached: what others do to the disk is seen then.
 */
static void
blk_release(struct file *f)
{
	struct blk_open *o = f->private_;
	struct blk_dev *d = o->dev;
	struct blk_medium *m = d->medium;
	struct blk_disk *disk = m->disk;
	bool last_writer = f->writable && READ_ONCE(d->writers) == 1;

	if (last_writer && !READ_ONCE(m->gone))
		cache_flush(m, d->start, d->start + d->size - 1);
	mutex_lock(&disk->mutex);
	if (o->exclusive)
		dev_unhold(d, o);
	d->openers--;
	d->writers -= f->writable;
	if (f->writable && d->writers == 0 && !d->gone) {
		d->reprobe = true;
		blk_kick(disk);
	}
	if (--m->openers == 0 && !m->gone) {
		cache_flush(m, 0, UINT64_MAX);
		cache_drop(m, 0, UINT64_MAX);
	}
	mutex_unlock(&disk->mutex);
	dev_put(d);
	kfree(o);
}

/* ---- write errors, stable storage ---- */

long
dev_sync(struct blk_dev *d)
{
	cache_flush(d->medium, d->start, d->start + max(d->size, (uint64_t)1) - 1);
	return blk_flush(d->medium);
}

static long
blk_fsync(struct file *f, bool datasync)
{
	struct blk_open *o = f->private_;
	long r = dev_sync(o->dev), error = dev_errors_report(o->dev, &o->errors_seen);

	(void)datasync;
	return error != 0 ? error : r != 0 ? -EIO : 0;
}

static bool
wants_sync(const struct file *f, const struct uio *u)
{
	return (f->flags & O_DSYNC) != 0 || (u->rwf & (RWF_DSYNC_ | RWF_SYNC_)) != 0;
}

/* ---- reading ---- */

static unsigned
pages_ahead(const struct blk_open *o, uint64_t pos, size_t left)
{
	uint64_t bytes = left;

	if (o->next == pos)
		bytes = max(bytes, READ_ONCE(o->dev->ahead_sectors) * SECTOR);
	bytes = min(bytes, o->dev->size - pos);
	/* what the first page has from pos on does not count */
	return (unsigned)min(((pos & (PAGE_SIZE - 1)) + bytes - 1) >> PAGE_SHIFT, (uint64_t)FILL_PAGES - 1);
}

static ssize_t
read_cached(struct blk_open *o, struct uio *u, uint64_t pos, size_t bytes)
{
	struct blk_dev *d = o->dev;
	size_t done = 0;
	ssize_t r = 0;

	while (done < bytes) {
		uint64_t at = d->start + pos + done, in = at & (PAGE_SIZE - 1);
		size_t n = min(bytes - done, (size_t)(PAGE_SIZE - in)), moved;
		struct page *p = cache_page(d->medium, at >> PAGE_SHIFT, pages_ahead(o, pos + done, bytes - done));

		if (IS_ERR(p)) {
			r = PTR_ERR(p);
			break;
		}
		moved = uio_put(u, (char *)page_virt(p) + in, n);
		page_put(p);
		done += moved;
		o->next = pos + done;
		if (moved < n) {
			r = -EFAULT;
			break;
		}
		if (signal_fatal_pending(current))
			break;
		cond_resched();
	}
	return done != 0 ? (ssize_t)done : r;
}

static ssize_t
blk_read(struct file *f, struct uio *u, loff_t *ppos)
{
	struct blk_open *o = f->private_;
	struct blk_dev *d = o->dev;
	uint64_t pos = (uint64_t)*ppos, size = READ_ONCE(d->size);
	size_t bytes;
	ssize_t r;

	if (READ_ONCE(d->gone))
		return -EIO;
	if (pos >= size || u->resid == 0)
		return 0;
	bytes = (size_t)min((uint64_t)u->resid, size - pos);
	r = f->flags & O_DIRECT ? direct_read(d, u, pos, bytes) : read_cached(o, u, pos, bytes);
	if (r > 0)
		*ppos += r;
	return r;
}

/* ---- writing ---- */

static ssize_t
write_cached(struct blk_dev *d, struct uio *u, uint64_t pos, size_t bytes)
{
	size_t done = 0;
	ssize_t r = 0;

	while (done < bytes) {
		uint64_t at = d->start + pos + done;
		size_t n = min(bytes - done, (size_t)(PAGE_SIZE - (at & (PAGE_SIZE - 1))));

		r = cache_write(d->medium, at, u, n);
		if (r < 0)
			break;
		done += (size_t)r;
		cache_balance(d->medium);
		if ((size_t)r < n || signal_fatal_pending(current))
			break;
		cond_resched();
	}
	return done != 0 ? (ssize_t)done : r;
}

/* What was written is on stable storage, or the call fails. */
static long
sync_written(struct blk_open *o, uint64_t pos, size_t bytes)
{
	struct blk_dev *d = o->dev;
	uint32_t seen = dev_errors_seen(d);
	long r;

	cache_flush(d->medium, d->start + pos, d->start + pos + bytes - 1);
	r = blk_flush(d->medium);
	if (dev_errors_report(d, &seen) == 0)
		return r != 0 ? -EIO : 0;
	o->errors_seen = seen;
	return -EIO;
}

static ssize_t
blk_write(struct file *f, struct uio *u, loff_t *ppos)
{
	struct blk_open *o = f->private_;
	struct blk_dev *d = o->dev;
	uint64_t size = READ_ONCE(d->size);
	bool append = (f->flags & O_APPEND) != 0 || (u->rwf & RWF_APPEND_) != 0;
	uint64_t pos = append ? size : (uint64_t)*ppos;
	size_t bytes;
	ssize_t r;

	if (READ_ONCE(d->gone))
		return -EIO;
	if (READ_ONCE(d->read_only))
		return -EPERM;
	if (u->resid == 0)
		return 0;
	if (pos >= size)
		return -ENOSPC;
	bytes = (size_t)min((uint64_t)u->resid, size - pos);
	r = f->flags & O_DIRECT ? direct_write(d, u, pos, bytes) : write_cached(d, u, pos, bytes);
	if (r > 0 && wants_sync(f, u)) {
		long error = sync_written(o, pos, (size_t)r);

		if (error != 0)
			return error;
	}
	if (r > 0)
		*ppos = (loff_t)pos + r;
	return r;
}

/* ---- position, space, mapping ---- */

/* Nowhere behind the end; everything is data. */
static loff_t
blk_seek(struct file *f, loff_t off, int whence)
{
	loff_t size = (loff_t)READ_ONCE(file_dev(f)->size), old = f->pos, pos;

	if (whence == SEEK_DATA || whence == SEEK_HOLE) {
		if (off < 0 || off >= size)
			return -ENXIO;
		f->pos = whence == SEEK_DATA ? off : size;
		return f->pos;
	}
	pos = generic_seek(f, off, whence, (uint64_t)size);
	if (pos <= size)
		return pos;
	f->pos = old;
	return -EINVAL;
}

static long
blk_fallocate(struct file *f, int mode, loff_t off, loff_t len)
{
	struct blk_dev *d = file_dev(f);
	uint64_t size = READ_ONCE(d->size), start = (uint64_t)off, end = start + (uint64_t)len;
	uint32_t mask = d->medium->facts.block_size - 1;

	if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0)
		return -EOPNOTSUPP;
	if (start >= size || (end > size && (mode & FALLOC_FL_KEEP_SIZE) == 0))
		return -EINVAL;
	end = min(end, size);
	if (((start | end) & mask) != 0)
		return -EINVAL;
	if (READ_ONCE(d->gone))
		return -EIO;
	if (READ_ONCE(d->read_only))
		return -EPERM;
	switch (mode) {
	case FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
		return direct_zero(d, start, end - start, true);
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
		return direct_zero(d, start, end - start, false);
	default:
		return -EOPNOTSUPP;
	}
}

/*
 * The disk's own pages, from where the device begins.  An area may not reach behind the
 * device's end: what comes there is another's.
 */
static long
blk_mmap(struct file *f, struct vma *v)
{
	struct blk_dev *d = file_dev(f);
	uint64_t pages = (v->end - v->start) >> PAGE_SHIFT, all = PAGE_UP(READ_ONCE(d->size)) >> PAGE_SHIFT;

	if (READ_ONCE(d->gone))
		return -EIO;
	if (d->number != 0 && ((d->start | d->size) & (PAGE_SIZE - 1)) != 0)
		return -EINVAL;
	if (v->pgoff > all || pages > all - v->pgoff)
		return -EINVAL;
	if ((v->flags & VMA_SHARED) != 0 && READ_ONCE(d->read_only))
		v->flags &= ~(uint32_t)VMA_MAYWRITE;
	v->mapping = &d->medium->mapping;
	v->pgoff += d->start >> PAGE_SHIFT;
	return 0;
}

/* The disk's cache is left alone; a write that failed is told by fsync. */
static long
blk_write_range(struct file *f, uint64_t from, uint64_t to, bool write, bool wait)
{
	struct blk_dev *d = file_dev(f);
	uint64_t size = READ_ONCE(d->size);

	(void)wait;
	if (write && from < size)
		cache_flush(d->medium, d->start + from, d->start + min(to, size) - 1);
	return 0;
}

static unsigned
blk_poll(struct file *f, struct poll_table *pt)
{
	(void)f, (void)pt;
	return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
}

/* What is clean and in no use goes; the rest is left to the cache's own judgement. */
static void
blk_advise(struct file *f, uint64_t from, uint64_t to, int advice)
{
	struct blk_dev *d = file_dev(f);

	if (advice == FADV_DONTNEED && from < d->size)
		cache_drop(d->medium, d->start + PAGE_UP(from), d->start + min(to, d->size) - 1);
}

const struct file_ops blk_file_ops = {
	.open = blk_open, .release = blk_release, .read = blk_read, .write = blk_write, .seek = blk_seek,
	.poll = blk_poll, .ioctl = blk_ioctl, .mmap = blk_mmap, .fsync = blk_fsync, .fallocate = blk_fallocate,
	.advise = blk_advise, .write_range = blk_write_range,
};
