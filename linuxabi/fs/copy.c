/* SPDX-License-Identifier: MIT */
/*
 * Data from file to file inside the kernel: sendfile, splice, tee,
 * copy_file_range.  Between a pipe and anything the pipe's pages are used;
 * everything else goes through the pages of the source's cache, or a buffer.
 */
#include "internal.h"

enum { COPY_BUFFER = 65536, SPLICE_ALL = 0xf };

/* The offset argument: in user memory, or the file's own position. */
static long
offset_get(uaddr_t user, struct file *f, loff_t *pos)
{
	uint64_t v;

	if (user == 0) {
		*pos = f->pos;
		return 0;
	}
	if (f->ops->seek == NULL)
		return -ESPIPE;
	if (get_user_u64(&v, user) < 0)
		return -EFAULT;
	*pos = (loff_t)v;
	return *pos < 0 ? -EINVAL : 0;
}

static long
offset_put(uaddr_t user, struct file *f, loff_t pos)
{
	if (user != 0)
		return put_user_u64(user, (uint64_t)pos);
	if (f->ops->seek != NULL)
		f->pos = pos;
	return 0;
}

static ssize_t
kernel_write_all(struct file *out, void *buf, size_t n, loff_t *pos)
{
	struct uio u;

	uio_kernel(&u, buf, n);
	u.rwf = 0;
	return file_do_write(out, &u, pos);
}

/* One page of the cache, straight into the writer. */
static ssize_t
copy_cached(struct file *in, loff_t *ipos, struct file *out, loff_t *opos, size_t len)
{
	struct mapping *m = in->inode->mapping;
	uint64_t pos = (uint64_t)*ipos, size = READ_ONCE(in->inode->size);
	size_t off = pos & (PAGE_SIZE - 1), n;
	struct page *p;
	ssize_t r;

	if (pos >= size)
		return 0;
	n = (size_t)min(size - pos, (uint64_t)(PAGE_SIZE - off));
	n = min(n, len);
	p = pagecache_page(m, pos >> PAGE_SHIFT);
	if (IS_ERR(p))
		return PTR_ERR(p);
	if (p == NULL) {
		p = page_alloc(PG_ZERO | PG_USER);
		if (p == NULL)
			return -ENOMEM;
	}
	r = kernel_write_all(out, (char *)page_virt(p) + off, n, opos);
	page_put(p);
	if (r > 0)
		*ipos += r;
	return r;
}

static ssize_t
copy_buffered(struct file *in, loff_t *ipos, struct file *out, loff_t *opos, size_t len, void *buf)
{
	loff_t before = *ipos;
	struct uio u;
	ssize_t n, r;

	uio_kernel(&u, buf, min(len, (size_t)COPY_BUFFER));
	u.rwf = 0;
	n = file_do_read(in, &u, ipos);
	if (n <= 0)
		return n;
	r = kernel_write_all(out, buf, (size_t)n, opos);
	*ipos = before + max(r, (ssize_t)0);	/* what was not written is read again */
	return r;
}

/* Copies up to len bytes; a part is a success. */
static ssize_t
copy_loop(struct file *in, loff_t *ipos, struct file *out, loff_t *opos, size_t len)
{
	bool cached = in->ops->read == pagecache_read;
	void *buf = cached ? NULL : kmalloc(COPY_BUFFER);
	size_t done = 0;
	ssize_t r = 0;

	if (!in->readable)
		return -EBADF;
	if (!cached && buf == NULL)
		return -ENOMEM;
	while (done < len) {
		size_t want = cached ? (size_t)PAGE_SIZE - ((uint64_t)*ipos & (PAGE_SIZE - 1)) : (size_t)COPY_BUFFER;

		want = min(want, len - done);
		r = cached ? copy_cached(in, ipos, out, opos, want) : copy_buffered(in, ipos, out, opos, want, buf);
		if (r <= 0)
			break;
		done += (size_t)r;
		if ((size_t)r < want)
			break;
		if (signal_pending())
			break;
		cond_resched();
	}
	kfree(buf);
	if (done > 0 && cached)
		inode_touch_atime(in);
	return done > 0 ? (ssize_t)done : r;
}

long
sys_sendfile(uint64_t out_fd, uint64_t in_fd, uint64_t offset, uint64_t count)
{
	struct fdref in = fdref_get((int)in_fd), out = { NULL, false };
	loff_t ipos, opos;
	long r = -EBADF;

	if (in.file == NULL || !in.file->readable)
		goto done;
	out = fdref_get((int)out_fd);
	if (out.file == NULL || !out.file->writable)
		goto done;
	r = -EINVAL;
	if (in.file->ops->seek == NULL || in.file->ops->read == NULL)
		goto done;
	if (out.file->flags & O_APPEND)
		goto done;
	r = offset_get(offset, in.file, &ipos);
	if (r < 0)
		goto done;
	opos = out.file->pos;
	r = copy_loop(in.file, &ipos, out.file, &opos, min(count, (uint64_t)MAX_RW_COUNT));
	if (r > 0) {
		if (out.file->ops->seek != NULL)
			out.file->pos = opos;
		if (offset_put(offset, in.file, ipos) < 0)
			r = -EFAULT;
	}
done:
	fdref_put(out);
	fdref_put(in);
	return r;
}

/* ---- splice, tee ---- */

static ssize_t
splice_files(struct file *in, uaddr_t off_in, struct file *out, uaddr_t off_out, size_t len, unsigned flags)
{
	bool ipipe = file_is_pipe(in), opipe = file_is_pipe(out);
	loff_t pos;
	ssize_t r;

	if (ipipe && opipe)
		return off_in != 0 || off_out != 0 ? -ESPIPE : pipe_splice_pipe(in, out, len, flags, false);
	if (opipe) {
		if (off_out != 0)
			return -ESPIPE;
		if (in->ops->read == NULL)
			return -EINVAL;
		r = offset_get(off_in, in, &pos);
		if (r < 0)
			return r;
		r = pipe_splice_in(out, in, &pos, len, flags);
		return r > 0 && offset_put(off_in, in, pos) < 0 ? -EFAULT : r;
	}
	if (!ipipe || out->ops->write == NULL)
		return -EINVAL;
	if (off_in != 0)
		return -ESPIPE;
	if (out->flags & O_APPEND)
		return -EINVAL;
	r = offset_get(off_out, out, &pos);
	if (r < 0)
		return r;
	r = pipe_splice_out(in, out, &pos, len, flags);
	return r > 0 && offset_put(off_out, out, pos) < 0 ? -EFAULT : r;
}

long
sys_splice(uint64_t fd_in, uint64_t off_in, uint64_t fd_out, uint64_t off_out, uint64_t len, uint64_t flags)
{
	struct fdref in, out;
	long r = -EBADF;

	if ((flags & ~(uint64_t)SPLICE_ALL) != 0)
		return -EINVAL;
	if (len == 0)
		return 0;
	in = fdref_get((int)fd_in);
	out = fdref_get((int)fd_out);
	if (in.file != NULL && out.file != NULL && in.file->readable && out.file->writable)
		r = splice_files(in.file, off_in, out.file, off_out, min(len, (uint64_t)MAX_RW_COUNT), (unsigned)flags);
	fdref_put(out);
	fdref_put(in);
	return r;
}

long
sys_tee(uint64_t fd_in, uint64_t fd_out, uint64_t len, uint64_t flags)
{
	struct fdref in, out;
	long r = -EBADF;

	if ((flags & ~(uint64_t)SPLICE_ALL) != 0)
		return -EINVAL;
	if (len == 0)
		return 0;
	in = fdref_get((int)fd_in);
	out = fdref_get((int)fd_out);
	if (in.file != NULL && out.file != NULL && in.file->readable && out.file->writable)
		r = file_is_pipe(in.file) && file_is_pipe(out.file)
		    ? pipe_splice_pipe(in.file, out.file, min(len, (uint64_t)MAX_RW_COUNT), (unsigned)flags, true) : -EINVAL;
	fdref_put(out);
	fdref_put(in);
	return r;
}

/* ---- copy_file_range ---- */

static long
copy_range_check(struct file *in, struct file *out)
{
	if (is_type(in->inode, S_IFDIR) || is_type(out->inode, S_IFDIR))
		return -EISDIR;
	if (!is_type(in->inode, S_IFREG) || !is_type(out->inode, S_IFREG))
		return -EINVAL;
	if (!in->readable || !out->writable || (out->flags & O_APPEND) != 0)
		return -EBADF;
	/* procfs's files have no size to go by: the caller falls back to read. */
	return in->inode->mapping == NULL || out->inode->mapping == NULL ? -EXDEV : 0;
}

static ssize_t
copy_range(struct file *in, uaddr_t off_in, struct file *out, uaddr_t off_out, size_t len)
{
	loff_t ipos, opos;
	long r = copy_range_check(in, out);

	if (r == 0)
		r = offset_get(off_in, in, &ipos);
	if (r == 0)
		r = offset_get(off_out, out, &opos);
	if (r < 0)
		return r;
	if (ipos > INT64_MAX - (loff_t)len || opos > INT64_MAX - (loff_t)len)
		return -EOVERFLOW;
	if ((uint64_t)ipos >= in->inode->size)
		return 0;
	len = (size_t)min((uint64_t)len, in->inode->size - (uint64_t)ipos);
	if (in->inode == out->inode && ipos < opos + (loff_t)len && opos < ipos + (loff_t)len)
		return -EINVAL;
	r = copy_loop(in, &ipos, out, &opos, len);
	if (r > 0 && (offset_put(off_in, in, ipos) < 0 || offset_put(off_out, out, opos) < 0))
		r = -EFAULT;
	return r;
}

long
sys_copy_file_range(uint64_t fd_in, uint64_t off_in, uint64_t fd_out, uint64_t off_out, uint64_t len, uint64_t flags)
{
	struct fdref in, out;
	long r = -EBADF;

	if (flags != 0)
		return -EINVAL;
	in = fdref_get((int)fd_in);
	out = fdref_get((int)fd_out);
	if (in.file != NULL && out.file != NULL)
		r = copy_range(in.file, off_in, out.file, off_out, min(len, (uint64_t)MAX_RW_COUNT));
	fdref_put(out);
	fdref_put(in);
	return r;
}
